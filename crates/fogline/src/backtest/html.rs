//! The report as one page that needs nothing else: no script, no font, no file.
//!
//! Readable in light and dark, on paper and without seeing the chart: the chart has a text, lines differ in dashes and
//! not in colour alone, the figures are a table with headers. Invariant: text from a policy or a series is escaped.

use std::fmt::Write;

use fogline_core::scaling::backtest::{Outcome, Report, Setup};

use super::chart::chart;
use super::table::{ROWS, cells};
use crate::output::{clean, moment};

/// Changes that are listed; a run with more of them says how many are left out.
const MOST_CHANGES: usize = 200;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--rule:#d8dee4;--load:#57606a;--demanded:#b3261e;\
--supplied:#0a5ad4;--asked:#0a5ad4}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--paper:#0f1318;--rule:#30363d;--load:#9aa4af;\
--demanded:#ff8a80;--supplied:#79b8ff;--asked:#79b8ff}}\
body{margin:0 auto;padding:1.5rem;max-width:62rem;background:var(--paper);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif}\
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.25rem 0;color:var(--soft)}\
svg{width:100%;height:auto;display:block}\
.grid{stroke:var(--rule);stroke-width:1}.tick{fill:var(--soft);font-size:12px}.title{fill:var(--ink);font-size:13px;\
font-weight:600}\
.line{fill:none;stroke-width:2;stroke-linejoin:round}.load{stroke:var(--load)}\
.supplied{stroke:var(--supplied);stroke-width:2.5}.asked{stroke:var(--asked);stroke-width:1.25;stroke-dasharray:2 3}\
.demanded{stroke:var(--demanded);stroke-dasharray:7 4}\
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;list-style:none;margin:.5rem 0 0;padding:0;font-size:.9rem}\
.key svg{display:inline-block;width:36px;height:10px;vertical-align:middle;margin-right:.4rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.95rem}\
caption{text-align:left;color:var(--soft);padding-bottom:.4rem}\
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}\
thead th{border-bottom-width:2px}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
tbody th{font-weight:600}small{display:block;font-weight:400;color:var(--soft)}\
@media print{body{max-width:none}}";

/// The page.
pub fn page(report: &Report, setup: &Setup) -> String {
    let mut out = String::new();
    let name = escaped(&report.policy.name);
    let (from, to) = match (report.policy.moments.first(), report.policy.moments.last()) {
        (Some(first), Some(last)) => (moment(first.at), moment(last.at)),
        _ => Default::default(),
    };
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>Backtest of {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Backtest of {name}</h1>\n\
         <p>From {from} to {to}, evaluated every {} s. A replica carries {} of {} and takes {} s to start. \
         Times are UTC.</p>\n",
        setup.interval.as_secs_f64(),
        setup.capacity,
        escaped(&setup.load),
        setup.start_time.as_secs_f64(),
    );
    if !report.missing_metrics.is_empty() {
        let names: Vec<String> = report.missing_metrics.iter().map(|name| escaped(name)).collect();
        let _ = writeln!(
            out,
            "<p><strong>Not in the series, so without data throughout: {}.</strong></p>",
            names.join(", ")
        );
    }
    let _ = writeln!(
        out,
        "<h2>Load and replicas</h2>\n<figure style=\"margin:0\">{}\n{KEY}</figure>",
        chart(&report.policy.moments)
    );
    figures(&mut out, report);
    changes(&mut out, &report.policy);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

const KEY: &str = "<figcaption><ul class=\"key\">\
<li><svg aria-hidden=\"true\" viewBox=\"0 0 36 10\"><path class=\"line demanded\" d=\"M0 5H36\"/></svg>demanded</li>\
<li><svg aria-hidden=\"true\" viewBox=\"0 0 36 10\"><path class=\"line supplied\" d=\"M0 5H36\"/></svg>supplied (ready)</li>\
<li><svg aria-hidden=\"true\" viewBox=\"0 0 36 10\"><path class=\"line asked\" d=\"M0 5H36\"/></svg>asked for</li>\
<li><svg aria-hidden=\"true\" viewBox=\"0 0 36 10\"><path class=\"line load\" d=\"M0 5H36\"/></svg>load</li>\
</ul></figcaption>";

fn figures(out: &mut String, report: &Report) {
    let runs = [&report.policy, &report.fixed, &report.hpa];
    let _ = write!(
        out,
        "<h2>Figures</h2>\n<div class=\"scroll\"><table>\n<caption>The policy beside a constant count that is enough for the \
         peak, and target tracking at 80 % utilization every 15 s. Less is better in every row.</caption>\n\
         <thead><tr><th scope=\"col\">Figure</th><th scope=\"col\" class=\"n\">{}</th>\
         <th scope=\"col\" class=\"n\">static</th><th scope=\"col\" class=\"n\">HPA</th></tr></thead>\n<tbody>\n",
        escaped(&report.policy.name)
    );
    let columns = runs.map(|run| cells(&run.figures));
    for (index, (name, meaning)) in ROWS.iter().enumerate() {
        let _ = write!(out, "<tr><th scope=\"row\">{name}<small>{meaning}</small></th>");
        for column in &columns {
            let _ = write!(out, "<td class=\"n\">{}</td>", column[index]);
        }
        out.push_str("</tr>\n");
    }
    out.push_str(
        "</tbody></table></div>\n<p>Lacking, surplus, their shares of time and instability are the elasticity metrics of the \
         SPEC Research Group (SPEC-RG-2016-01).</p>\n",
    );
}

fn changes(out: &mut String, policy: &Outcome) {
    let _ = write!(
        out,
        "<h2>Changes</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">When</th>\
         <th scope=\"col\" class=\"n\">From</th><th scope=\"col\" class=\"n\">To</th><th scope=\"col\">Why</th></tr></thead>\n<tbody>\n"
    );
    for change in policy.changes.iter().take(MOST_CHANGES) {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            moment(change.at),
            change.from,
            change.to,
            escaped(&change.reason)
        );
    }
    out.push_str("</tbody></table></div>\n");
    if let Some(more) = policy.changes.len().checked_sub(MOST_CHANGES).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>… and {more} more; <code>-o json</code> has them all.</p>");
    }
}

fn escaped(text: &str) -> String {
    clean(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_and_nothing_else() {
        assert_eq!(escaped("<script>&'\"\u{1b}[2J"), "&lt;script&gt;&amp;&#39;&quot;\\u{1b}[2J");
    }
}
