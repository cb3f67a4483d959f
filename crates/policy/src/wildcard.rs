//! Patterns with `*` and `?`, of strings and of ARNs.

/// Whether `*` (any run, also none) and `?` (one character) in `pattern` can be filled so that
/// it becomes `text`. Takes at most the product of both lengths: only the last `*` is retried,
/// because an earlier one could gain nothing that the last cannot.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let at = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                text = at;
                retry = Some((pattern.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(p), Some(t)) if p == t => {}
            (None, None) => return true,
            _ => {
                let Some((after_star, resume)) = &mut retry else { return false };
                if resume.next().is_none() {
                    return false;
                }
                (pattern, text) = (after_star.clone(), resume.clone());
            }
        }
    }
}

/// Whether each of the six parts of an ARN fits the same part of the pattern; a lone `*` fits
/// everything (IAM user guide, "ARN condition operators").
pub(crate) fn matches_arn(pattern: &str, arn: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (arn_parts(pattern), arn_parts(arn)) {
        (Some(pattern), Some(arn)) => pattern.iter().zip(arn).all(|(p, part)| matches(p, part)),
        _ => false,
    }
}

/// The parts `arn`, partition, service, region, account and resource; the last may hold colons.
pub(crate) fn arn_parts(arn: &str) -> Option<[&str; 6]> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    <[&str; 6]>::try_from(parts).ok().filter(|parts| parts[0] == "arn")
}
