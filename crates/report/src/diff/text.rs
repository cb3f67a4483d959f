//! A comparison for a person: what is worse comes first.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::diff::{Diff, Encryption, PastFinding, Sets};

/// Lines of one kind that are printed; the JSON form has them all.
const LINES_MAX: usize = 20;

struct Page {
    out: String,
    color: bool,
}

fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

impl Page {
    fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// A titled list; nothing when there are none.
    fn list<T>(&mut self, title: &str, items: &[T], show: impl Fn(&Self, &T) -> String) {
        if items.is_empty() {
            return;
        }
        let title = self.paint(Style::new().bold(), &format!("{title}: {}", items.len()));
        let _ = write!(self.out, "\n{title}\n");
        for item in items.iter().take(LINES_MAX) {
            let text = show(self, item);
            self.line(&text);
        }
        if items.len() > LINES_MAX {
            self.line(&format!("  and {} more", items.len() - LINES_MAX));
        }
    }

    fn finding(&self, f: &PastFinding) -> String {
        let style = match &*f.class {
            "tampered" => color(AnsiColor::Red).bold(),
            "info" => color(AnsiColor::Cyan),
            _ => color(AnsiColor::Yellow),
        };
        let place = [&f.account, &f.region, &f.trail].into_iter().flatten();
        let place = place.map(String::as_str).collect::<Vec<_>>().join(" ");
        let times = if f.count > 1 { format!(" × {}", f.count) } else { String::new() };
        let accepted = if f.state == "open" { "" } else { " (accepted)" };
        format!(
            "  {} {}{times}{accepted}\n    {}\n    {}",
            self.paint(style, &printable(&f.class)),
            self.paint(Style::new().bold(), &printable(&f.code)),
            printable(f.object.as_deref().unwrap_or(&place)),
            printable(&f.message),
        )
    }

    fn sets<T: Ord>(&mut self, title: &str, sets: &Sets<T>, show: impl Fn(&T) -> String) {
        let plus = sets.appeared.iter().map(|item| ('+', item));
        let all: Vec<_> = plus.chain(sets.gone.iter().map(|item| ('-', item))).collect();
        self.list(title, &all, |_, (sign, item)| format!("  {sign} {}", printable(&show(item))));
    }
}

pub(super) fn render(diff: &Diff, color: bool) -> String {
    let mut page = Page { out: String::new(), color };
    head(&mut page, diff);
    findings(&mut page, diff);
    let chains = Sets {
        appeared: diff.chains_appeared.iter().map(ToString::to_string).collect(),
        gone: diff
            .chains_vanished
            .iter()
            .map(|v| match &v.not_asked {
                None => format!("{}: gone", v.chain),
                Some(why) => format!("{}: {why}", v.chain),
            })
            .collect(),
    };
    page.sets("Chains", &chains, String::clone);
    page.list("Proven time, then → now", &diff.coverage, |_, c| {
        let state = |s: &Option<String>| printable(s.as_deref().unwrap_or("not asked for"));
        let sign = if c.is_worse() { '!' } else { ' ' };
        let chain = printable(&c.chain.to_string());
        format!("{sign} {chain}  {} – {}  {} → {}", c.from, c.to, state(&c.old), state(&c.new))
    });
    page.sets("Encryption", &diff.encryption, encryption);
    page.sets("Signing keys", &diff.keys, |k| {
        format!("{} {} (from {})", k.region, k.fingerprint, k.source)
    });
    page.list("Asked otherwise, then → now", &diff.request, |_, o| {
        printable(&format!("  {}: {} → {}", o.name, o.old, o.new))
    });
    page.sets("Not proven", &diff.not_proven, String::clone);
    page.out
}

fn head(page: &mut Page, diff: &Diff) {
    let paint = |verdict: &str| {
        let style = match verdict {
            "verified" => color(AnsiColor::Green).bold(),
            "tampered" => color(AnsiColor::Red).bold(),
            _ => color(AnsiColor::Yellow).bold(),
        };
        page.paint(style, &printable(verdict).to_uppercase())
    };
    let title = format!(
        "{} → {}  {}",
        paint(&diff.old.verdict),
        paint(&diff.new.verdict),
        printable(&diff.new.target)
    );
    page.line(&title);
    if diff.old.target != diff.new.target {
        page.line(&format!("  compared by force with {}", printable(&diff.old.target)));
    }
    let share = |s: Option<f64>| {
        s.map_or("nothing demanded".to_owned(), |c| format!("{} %", (c * 1e4).floor() / 1e2))
    };
    page.line(&format!("  run of  {} → {}", diff.old.generated_at, diff.new.generated_at));
    page.line(&format!("  proven  {} → {}", share(diff.old.coverage), share(diff.new.coverage)));
    let unseen = diff.gone.iter().filter(|g| g.not_rechecked.is_some()).count();
    page.line(&format!(
        "  findings: {} new, {} changed, {} unchanged, {} resolved, {unseen} not re-checked",
        diff.appeared.len(),
        diff.changed.len(),
        diff.unchanged.len(),
        diff.gone.len() - unseen,
    ));
    page.line(if diff.worse { "  worse than before" } else { "  nothing is worse than before" });
}

fn findings(page: &mut Page, diff: &Diff) {
    page.list("New findings", &diff.appeared, |page, f| {
        format!("{}\n    → {}", page.finding(f), printable(&f.remedy))
    });
    page.list("Changed findings, then → now", &diff.changed, |page, c| {
        let mut text = page.finding(&c.finding);
        for (was, is) in [
            (c.old_count.to_string(), c.finding.count.to_string()),
            (c.old_class.clone(), c.finding.class.clone()),
            (c.old_state.clone(), c.finding.state.clone()),
        ] {
            if was != is {
                let _ = write!(text, "\n    {} → {}", printable(&was), printable(&is));
            }
        }
        let added = c.objects_added.iter().map(|o| ('+', o));
        for (sign, object) in
            added.chain(c.objects_removed.iter().map(|o| ('-', o))).take(LINES_MAX)
        {
            let _ = write!(text, "\n    {sign} {}", printable(object));
        }
        text
    });
    let (unseen, resolved): (Vec<_>, Vec<_>) =
        diff.gone.iter().partition(|g| g.not_rechecked.is_some());
    page.list("Gone, but not re-checked", &unseen, |page, g| {
        let why = g.not_rechecked.as_deref().unwrap_or_default();
        format!("{}\n    not re-checked: {}", page.finding(&g.finding), printable(why))
    });
    page.list("Resolved: looked for again, and gone", &resolved, |page, g| {
        page.finding(&g.finding)
    });
}

fn encryption(e: &Encryption) -> String {
    let place = [&e.account, &e.region].into_iter().flatten();
    let place = place.map(String::as_str).collect::<Vec<_>>().join(" ");
    let sse = e.sse.as_deref().unwrap_or("not encrypted");
    let key = e.key.as_deref().map(|k| format!(" {k}")).unwrap_or_default();
    let bucket_key = if e.bucket_key == Some(true) { " (Bucket Key)" } else { "" };
    format!("{place} {}s: {sse}{key}{bucket_key}", e.kind)
}

/// Names come from whoever could write to the bucket: nothing that a terminal obeys, or that
/// reverses what stands beside it, is printed.
fn printable(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}
