//! Words and numbers of the page.

use maud::{Markup, Render, html};
use trail::Timestamp;
use trail::key::{DigestKey, LogKey};

/// Text of unknown origin. The template escapes what HTML would read as markup; this shows what
/// a reader would not see: control characters, and those that hide or reorder their neighbours.
pub(super) fn visible(text: &str) -> Visible<'_> {
    Visible(text)
}

pub(super) struct Visible<'a>(&'a str);

impl Render for Visible<'_> {
    fn render_to(&self, out: &mut String) {
        let mut rest = self.0;
        while let Some(at) = rest.find(hidden) {
            let (shown, tail) = rest.split_at(at);
            shown.render_to(out);
            for c in tail.chars().take(1) {
                c.escape_unicode().for_each(|c| out.push(c));
                rest = &tail[c.len_utf8()..];
            }
        }
        rest.render_to(out);
    }
}

/// Unicode's bidirectional and other invisible format characters, and all controls.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Whether nothing in a text hides.
pub(super) fn plain(text: &str) -> bool {
    !text.contains(hidden)
}

/// An object's address, its name set off from its folder.
pub(super) fn address(object: &str) -> Markup {
    let (folder, name) = object.split_at(object.rfind('/').map_or(0, |at| at + 1));
    html! { code .address { span { (visible(folder)) } (visible(name)) } }
}

/// A table that scrolls by itself where it is wider than the page, by keyboard too.
pub(super) fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div .scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// Without the seconds where they are zero.
pub(super) fn time_text(t: Timestamp) -> String {
    let text = t.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    let clock = clock.trim_end_matches('Z');
    format!("{date} {}", clock.strip_suffix(":00").unwrap_or(clock))
}

/// As [`time_text`], with its zone, for machines too.
pub(super) fn time(t: Timestamp) -> Markup {
    html! { time datetime=(t.to_string()) { (time_text(t)) " UTC" } }
}

/// From one time to another; the date of the second only where it differs.
pub(super) fn period_text(from: Timestamp, to: Timestamp) -> String {
    let (a, b) = (time_text(from), time_text(to));
    let same_day = a.get(..10) == b.get(..10);
    format!("{a} – {} UTC", if same_day { b.get(11..).unwrap_or(&b) } else { &b })
}

/// With separators between thousands.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 log`, `1,152 logs`.
pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", number(n), if n == 1 { "" } else { "s" })
}

/// The two largest units of a length of time.
pub(super) fn length(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (size, name) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {name}", rest / size));
            rest %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// Part of a whole, rounded down: only the whole is 100 %.
pub(super) fn percent(part: i64, whole: i64) -> Option<String> {
    (whole > 0).then(|| {
        let hundredths = i128::from(part) * 10_000 / i128::from(whole);
        if hundredths == 10_000 {
            "100 %".to_owned()
        } else {
            format!("{}.{:02} %", hundredths / 100, hundredths % 100)
        }
    })
}

/// The time that an object's name speaks of: a log's minute, a digest's end.
pub(super) fn time_of(object: &str) -> Option<Timestamp> {
    let key = object.strip_prefix("s3://").and_then(|o| o.split_once('/'))?.1;
    let log = key.parse::<LogKey>().map(|k| k.stamp);
    log.or_else(|_| key.parse::<DigestKey>().map(|k| k.end)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown_and_what_marks_up_is_escaped() {
        let shown = html! { (visible("a<b>\n\u{202e}é\0\u{85}")) }.into_string();
        assert_eq!(shown, "a&lt;b&gt;\\u{a}\\u{202e}é\\u{0}\\u{85}");
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(["1", "999", "1,000", "1,234,567"], [1, 999, 1000, 1_234_567].map(number));
        assert_eq!(["0 s", "1 min", "1 h 1 min", "1 d", "2 d 3 h"], {
            [0, 60, 3_661, 86_400, 2 * 86_400 + 3 * 3_600 + 59].map(length)
        });
        assert_eq!(percent(9_999_999, 10_000_000).unwrap(), "99.99 %");
        assert_eq!(percent(1, 1).unwrap(), "100 %");
        assert_eq!(percent(0, 0), None);
        let (a, b) = (Timestamp::from_unix(0), Timestamp::from_unix(3_661));
        assert_eq!(period_text(a, b), "1970-01-01 00:00 – 01:01:01 UTC");
    }
}
