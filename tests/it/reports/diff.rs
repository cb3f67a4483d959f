//! Real reports compared: the demo's, of the trail as delivered and of its tampered copy.

use report::diff::{DiffError, Past, diff};

use super::demo_reports;

#[test]
fn the_demos_reports_compared() {
    let reports = demo_reports();
    let past = |value: &serde_json::Value| Past::parse(value.to_string().as_bytes()).unwrap();
    let (old, new) = (past(&reports.verified), past(&reports.tampered));
    // The bucket and its copy are two targets.
    assert!(matches!(diff(&old, &new, false), Err(DiffError::Targets { .. })));
    let worse = diff(&old, &new, true).unwrap();
    assert_eq!(
        (worse.exit_code(), worse.appeared.len()),
        (1, reports.tampered["findings"].as_array().unwrap().len())
    );
    let text = worse.text(false);
    assert!(text.starts_with("VERIFIED → TAMPERED"), "{text}");
    for code in ["digest.missing", "log.missing", "log.hash-mismatch", "log.unreferenced"] {
        assert!(text.contains(&format!("tampered {code}")), "{code}: {text}");
    }
    let same = diff(&new, &new, false).unwrap();
    assert_eq!((same.exit_code(), same.appeared.len(), same.gone.len()), (0, 0, 0));
    assert_eq!(same.unchanged.len(), worse.appeared.len());
}
