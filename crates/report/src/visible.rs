//! Text of unknown origin, made safe to show: nothing in it can hide, move or end what surrounds
//! it. Object names are whatever whoever put the objects there chose.

use std::borrow::Cow;

/// `text` with control characters, line and paragraph separators, bidirectional overrides and
/// noncharacters written out as `\u{1b}`. What is left may stand on one line of any text form.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || c == '\u{feff}'
        // Noncharacters end every plane; XML allows none of them.
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_written_out_and_the_rest_is_kept() {
        assert_eq!(visible("a\u{1b}[2K\nb"), "a\\u{1b}[2K\\u{a}b");
        assert_eq!(visible("gpj.\u{202e}exe\u{ffff}\u{85}"), "gpj.\\u{202e}exe\\u{ffff}\\u{85}");
        for kept in ["Übung/日本語 <b>\"&'", "emoji 🦀", ""] {
            assert!(matches!(visible(kept), Cow::Borrowed(text) if text == kept));
        }
    }
}
