//! The figures as people read them: the same rows on the terminal and in the page.

use fogline_core::scaling::backtest::Figures;

/// What each row is called, and what it means.
pub const ROWS: [(&str, &str); 11] = [
    ("lacking", "how much capacity was lacking, in percent of what was needed"),
    ("time lacking", "share of time with less than was needed"),
    ("surplus", "how much capacity was too much, in percent of what was needed"),
    ("time surplus", "share of time with more than was needed"),
    ("instability", "share of time in which supply and demand did not move the same way"),
    ("replica-hours", "replicas that were asked for, times hours"),
    ("cost", "replica-hours times the price of one"),
    ("changes", "how often the count changed"),
    ("reversals", "changes in the other direction than the one before"),
    ("load steps", "how often demand rose above supply"),
    ("to capacity", "from such a step until enough served: on average, and at most"),
];

/// The cells of one run, in the order of [`ROWS`].
pub fn cells(figures: &Figures) -> [String; 11] {
    let percent = |value: f64| format!("{value:.1} %");
    let waited = match (figures.time_to_capacity_mean_s, figures.time_to_capacity_max_s) {
        (Some(mean), Some(most)) => format!("{mean:.0} s, {most:.0} s"),
        _ => "-".to_owned(),
    };
    [
        percent(figures.under_provisioning_percent),
        percent(figures.time_under_percent),
        percent(figures.over_provisioning_percent),
        percent(figures.time_over_percent),
        percent(figures.instability_percent),
        format!("{:.1}", figures.replica_hours),
        figures.cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2}")),
        figures.changes.to_string(),
        figures.reversals.to_string(),
        figures.load_steps.to_string(),
        waited,
    ]
}
