//! The report as one HTML page for people: self-contained, offline, printable, with or without
//! JavaScript.
//!
//! Names of objects come from whoever could write to the bucket, so every string is escaped by
//! the template library, and the page's own policy allows no request and no script or style but
//! the two whose hashes it names.

mod chains;
mod coverage;
mod encryption;
mod findings;
mod howto;
mod text;
mod verdict;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use trail::Sha256;
use verifier::Report;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The page, complete: the same report gives the same bytes.
///
/// It stays of a size that a browser takes at once: what exceeds the bounds of a section (chains,
/// stretches, findings) is counted there, with the pointer to the JSON form, which has it all.
#[must_use]
pub fn render(report: &Report) -> String {
    let chains = chains::of(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (verdict::word(report.verdict)) " – " (text::visible(target(report))) }
                // An empty icon of its own keeps browsers from asking a server for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a .skip href="#findings" { "Skip to the findings" }
                (verdict::section(report, &chains))
                (contents())
                main {
                    (findings::section(report))
                    (coverage::section(&chains))
                    (chains::section(&chains))
                    (encryption::section(report))
                    (not_proven(report))
                    (howto::section(report))
                    (signature())
                }
                (colophon(report))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// A CSP that allows this page's own style and script by hash and nothing else (CSP level 2,
/// section 4.2.5; directives of a meta element exclude `frame-ancestors`).
fn policy() -> String {
    let hash = |source: &str| BASE64_STANDARD.encode(Sha256::of(source.as_bytes()).0);
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; \
         base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT),
    )
}

fn target(report: &Report) -> &str {
    asked(report, "target").unwrap_or("trail")
}

/// A text of the request; absent when it was not given.
fn asked<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    report.request.get(name)?.as_str()
}

fn contents() -> Markup {
    const SECTIONS: [(&str, &str); 7] = [
        ("findings", "Findings"),
        ("coverage", "Coverage"),
        ("chains", "Chains"),
        ("encryption", "Encryption"),
        ("keys", "Signing keys"),
        ("not-proven", "Not proven"),
        ("howto", "Check it yourself"),
    ];
    html! {
        nav aria-label="Sections" {
            @for (id, name) in SECTIONS { a href={ "#" (id) } { (name) } }
        }
    }
}

fn not_proven(report: &Report) -> Markup {
    html! {
        section #not-proven aria-labelledby="not-proven-title" {
            h2 #not-proven-title { "What this run does not prove" }
            p .lead { "A proof is worth what it leaves out. This run says nothing about:" }
            ul .plain {
                @for line in &report.not_proven { li { (text::visible(line)) } }
            }
        }
    }
}

/// Room for the people who sign under a printed page; on screen there is nothing to sign.
fn signature() -> Markup {
    html! {
        section .sign aria-label="Sign-off" {
            @for label in ["Reviewed by", "Role", "Date", "Signature"] { div { span { (label) } } }
        }
    }
}

fn colophon(report: &Report) -> Markup {
    html! {
        footer {
            p {
                "Made by " (report.tool.name) " " (report.tool.version) " at "
                (text::time(report.generated_at)) " · " code { (report.schema) } " · "
                "This page is a rendering of the JSON report and says no more than it."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_cannot_end_their_element_or_change_on_the_way() {
        for source in [STYLE, SCRIPT] {
            assert!(!source.contains("</") && !source.contains("<!--"));
            // An HTML parser turns these into others, and the hash would no longer fit.
            assert!(!source.contains(['\r', '\0']));
        }
    }

    #[test]
    fn nothing_in_style_or_script_reaches_out() {
        for source in [STYLE, SCRIPT] {
            for word in ["http:", "https:", "@import", "url(", "fetch", "import "] {
                assert!(!source.contains(word), "{word}");
            }
        }
    }
}
