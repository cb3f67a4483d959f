//! The standards map as Markdown, read by GitHub's own parser (cmarkgfm).

use std::fs;

use report::standards::{controls, text};
use tempfile::TempDir;

#[path = "../../../crates/report/tests/compliance/mod.rs"]
pub(super) mod compliance;

use super::validate;
use compliance::*;

const TABLES: &str = r#"
import re, sys
import cmarkgfm
html = cmarkgfm.github_flavored_markdown_to_html(open(sys.argv[1], newline="\n").read())
tags = set(re.findall(r"<([a-z][a-z0-9]*)", html))
assert tags <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "a"}, tags
# No escape keeps a parser from linking a bare mail address, which does no harm.
links = re.findall(r"<a [^>]*>", html)
assert set(links) <= {'<a href="mailto:f@example.com">'}, links
print(html.count("<table>"), len(re.findall(r"<tr>\s*<td>", html)), html.count("<li>"))
"#;

#[test]
#[cfg_attr(not(has_validators), ignore = "the report validators could not be installed")]
fn every_control_is_a_row_and_no_name_is_markup() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("standards.md");
    for mut report in [verified(), tampered(), year()] {
        report.coverage[0].account.push_str("<b>*x*</b> https://example.com/ | `y`\n\n# z");
        report
            .not_proven
            .push("<img src=x> [a](b) ![c](d) ~~e~~ www.example.com f@example.com".into());
        let frameworks = 7;
        let expected =
            format!("{frameworks} {} {}", controls(&report).len(), report.not_proven.len());
        fs::write(&path, text(&report)).unwrap();
        assert_eq!(validate(TABLES, &[&path]).trim(), expected);
    }
}
