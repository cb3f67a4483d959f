//! `explain`: the chain of custody of one object.

use std::sync::Arc;

use verifier::request::NoProgress;

use crate::args::{Explain, Global, PlainFormat, Scope};
use crate::error::CliError;
use crate::{backend, output, text};

pub(crate) async fn run(global: &Global, options: &Explain) -> Result<u8, CliError> {
    let scope = Scope { trail_arn: None, trail_name: None, account: vec![], region: vec![] };
    let mut target =
        backend::open_target(global, Some(&options.target), &scope, Arc::new(NoProgress)).await?;
    backend::apply(&options.checks, &mut target.request)?;
    let explanation =
        verifier::explain::explain(&target.request, &target.ports, &options.object).await?;
    let text = match options.format {
        PlainFormat::Json => {
            let mut json = serde_json::to_string_pretty(&explanation).unwrap_or_default();
            json.push('\n');
            json
        }
        PlainFormat::Text => text::explanation(&explanation, &text::Painter::stdout()),
    };
    output::print(&text)?;
    Ok(explanation.verdict.exit_code())
}
