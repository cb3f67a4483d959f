//! `report` and `diff`: what is done with reports that were written before; and the signing of
//! new ones.

use std::io::Read as _;
use std::path::Path;

use encryptor::signing::RsaKey;
use local::kms::Message;
use report::evidence::{
    self, ENVELOPE_BYTES_MAX, EvidenceError, PublicKey, REPORT_BYTES_MAX, Signature,
};
use report::past::Past;
use trail::Sha256;
use trail::name::KeyArn;
use verifier::report::Report;
use zeroize::Zeroizing;

use crate::args::{Diff, Global, PlainFormat, ReportAction, ReportVerify};
use crate::error::CliError;
use crate::{backend, output, render};

pub(crate) fn run(action: &ReportAction) -> Result<u8, CliError> {
    match action {
        ReportAction::Verify(options) => verify(options),
    }
}

fn verify(options: &ReportVerify) -> Result<u8, CliError> {
    let keys: Result<Vec<_>, CliError> = options.public_key.iter().map(|p| public_key(p)).collect();
    let envelope = read(&options.file, ENVELOPE_BYTES_MAX)?;
    let verified = match evidence::verify(&envelope, &keys?) {
        Ok(verified) => verified,
        Err(e @ EvidenceError::NoKeys) => return Err(CliError::usage(e.to_string())),
        Err(e) => {
            output::print(&format!("NOT PROVEN  {}\n  {e}\n", options.file.display()))?;
            return Ok(1);
        }
    };
    if let Some(file) = &options.extract {
        render::save(file, &verified.report_json)?;
    }
    let report = &verified.report;
    output::print(&format!(
        "SIGNED  {}\n  by {}\n  the report says of {}: {}, at {}\n  SHA-256 of the report: {}\n",
        options.file.display(),
        verified.key_ids.join(", "),
        report.asked("target").unwrap_or("an unnamed target"),
        report.verdict,
        report.generated_at,
        Sha256::of(&verified.report_json),
    ))?;
    Ok(0)
}

pub(crate) fn diff(options: &Diff) -> Result<u8, CliError> {
    let (old, new) = (past(&options.old)?, past(&options.new)?);
    let diff = report::diff::diff(&old, &new, options.force)
        .map_err(|e| CliError::usage(e.to_string()))?;
    output::print(&match options.format {
        PlainFormat::Text => diff.text(output::colored()),
        PlainFormat::Json => diff.to_json(),
    })?;
    Ok(diff.exit_code())
}

fn past(path: &Path) -> Result<Past, CliError> {
    let bytes = read(path, REPORT_BYTES_MAX)?;
    Past::parse(&bytes).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
}

/// The JSON of a report, for what compares with it.
pub(crate) fn json(path: &Path) -> Result<serde_json::Value, CliError> {
    let bytes = read(path, REPORT_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
}

fn read(path: &Path, bound: usize) -> Result<Vec<u8>, CliError> {
    let failed = |e| CliError::file("cannot read", path, e);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(bound as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > bound {
        return Err(CliError::usage(format!("{}: longer than {bound} bytes", path.display())));
    }
    Ok(bytes)
}

fn public_key(path: &Path) -> Result<PublicKey, CliError> {
    let bytes = read(path, 64 << 10)?;
    let pem = String::from_utf8_lossy(&bytes);
    PublicKey::from_pem(&pem).map_err(|e| CliError::usage(format!("{}: {e}", path.display())))
}

/// Signs a report with a PEM file's key, or with an RSA key of the store's key service.
pub(crate) fn sign(global: &Global, key: &str, report: &Report) -> Result<Vec<u8>, CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::usage(format!("--sign {key}: {e}"));
    let statement = evidence::statement(report.to_json().as_bytes()).map_err(|e| failed(&e))?;
    if let Ok(arn) = key.parse::<KeyArn>() {
        let kms = backend::open_store(global, None, false)?.kms_as_root(&arn.region);
        let public = kms.get_public_key(key).map_err(|e| failed(&e))?;
        return evidence::sign(&statement, |message| {
            let hash = Sha256::of(message);
            let signature = kms.sign(key, Message::Digest(&hash.0)).map_err(|e| failed(&e))?;
            Ok(Signature { signature, key_id: PublicKey::id_of(&public.spki) })
        });
    }
    let path = Path::new(key.strip_prefix("file:").unwrap_or(key));
    let pem = Zeroizing::new(read(path, 64 << 10)?);
    let pem = std::str::from_utf8(&pem).map_err(|e| failed(&e))?;
    let signer = RsaKey::from_pem(pem).map_err(|e| failed(&e))?;
    let spki = signer.public_spki().map_err(|e| failed(&e))?;
    evidence::sign(&statement, |message| {
        let signature = signer.sign(&Sha256::of(message)).map_err(|e| failed(&e))?;
        Ok(Signature { signature, key_id: PublicKey::id_of(&spki) })
    })
}
