//! `verify`: proves a trail and writes the report in every form asked for.

use std::sync::{Arc, OnceLock};

use verifier::finding::Class;
use verifier::report::{Report, Verdict};

use crate::args::{FailOn, Format, Global, Verify, WebhookKind};
use crate::error::CliError;
use crate::progress::Bar;
use crate::stream::{Stream, Watch};
use crate::{backend, output, render};

pub(crate) async fn run(global: &Global, options: &Verify) -> Result<u8, CliError> {
    let outputs = render::pair(&options.format, &options.output)?;
    let previous = options.previous.as_deref().map(super::report::json).transpose()?;
    // Of several NDJSON outputs the first is written as the run goes.
    let streamed = outputs.iter().position(|(format, _)| *format == Format::Ndjson);
    let bar = Arc::new(Bar::new());
    let watch = Arc::new(Watch { bar: bar.clone(), stream: OnceLock::new() });
    let target = options.target.as_deref();
    let mut opened = backend::open_target(global, target, &options.scope, watch.clone()).await?;
    backend::apply(&options.checks, &mut opened.request)?;
    if let Some(i) = streamed {
        let _ = watch.stream.set(Stream::open(outputs[i].1.as_deref())?);
    }
    let report = verifier::verify(&opened.request, &opened.ports).await;
    bar.finish();
    let report = report?;
    // One form that cannot be written keeps no other back.
    let mut failed = None;
    for (i, (format, output)) in outputs.iter().enumerate() {
        let output = output.as_deref();
        let written = match watch.stream.get().filter(|_| streamed == Some(i)) {
            Some(stream) => stream.finish(&report).map_err(|e| output::failed(output, e)),
            None => render::write(&report, *format, output, previous.as_ref()),
        };
        failed = failed.or(written.err());
    }
    if let Some(key) = &options.sign {
        let envelope = super::report::sign(global, key, &report);
        let written = envelope.and_then(|bytes| render::save(&options.evidence, &bytes));
        failed = failed.or(written.err());
    }
    tell(options, &report).await;
    match failed {
        Some(e) => Err(e),
        None => Ok(exit_code(&report, &options.fail_on)),
    }
}

/// A failure to tell is told here, and changes nothing.
async fn tell(options: &Verify, report: &Report) {
    let Some(url) = options.webhook.clone() else { return };
    let kind = match options.webhook_kind {
        WebhookKind::Json => notify::Kind::Json,
        WebhookKind::Slack => notify::Kind::Slack,
    };
    let written = options.output.first().map(|path| path.display().to_string());
    let report = report.clone();
    let sent = tokio::task::spawn_blocking(move || {
        notify::Webhook::new(&url, kind, false)?.send(&report, written.as_deref())
    });
    match sent.await {
        Ok(Ok(())) => {}
        Ok(Err(e)) => output::error(&e.to_string()),
        Err(e) => output::error(&format!("the webhook was not told: {e}")),
    }
}

fn exit_code(report: &Report, fail_on: &[FailOn]) -> u8 {
    let failing = |class: Class| match class {
        Class::Tampered => fail_on.contains(&FailOn::Tampered),
        Class::Incomplete => fail_on.contains(&FailOn::Incomplete),
        Class::Unverifiable => fail_on.contains(&FailOn::Unverifiable),
        Class::Noncompliant => fail_on.contains(&FailOn::Noncompliant),
        Class::Info => fail_on.contains(&FailOn::Info),
    };
    let of = |text: &str| Class::ALL.into_iter().find(|c| c.as_str() == text);
    let classes: Vec<Class> =
        report.findings.iter().filter_map(|f| of(f.class)).filter(|c| failing(*c)).collect();
    let code = Verdict::of(classes.iter().copied(), &Class::ALL).exit_code();
    // Info has no verdict of its own; asked to fail on it, it is the mildest that fails.
    if code == 0 && classes.contains(&Class::Info) {
        Verdict::Noncompliant.exit_code()
    } else {
        code
    }
}
