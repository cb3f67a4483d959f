//! `status`: chains from listings only.

use std::sync::Arc;

use verifier::request::NoProgress;

use crate::args::{Global, PlainFormat, Status};
use crate::error::CliError;
use crate::{backend, output, text};

pub(crate) async fn run(global: &Global, options: &Status) -> Result<u8, CliError> {
    let target =
        backend::open_target(global, Some(&options.target), &options.scope, Arc::new(NoProgress))
            .await?;
    let chains = verifier::status::status(&target.request, &target.ports).await?;
    if chains.is_empty() {
        output::note(&format!("no chain and no log was found below {}", options.target));
    }
    let text = match options.format {
        PlainFormat::Json => {
            let mut json = serde_json::to_string_pretty(&chains).unwrap_or_default();
            json.push('\n');
            json
        }
        PlainFormat::Text => text::status(&chains, &text::Painter::stdout()),
    };
    output::print(&text)?;
    Ok(0)
}
