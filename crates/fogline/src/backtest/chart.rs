//! The chart: load above, demanded and supplied replicas below, over one axis of time. Drawn as SVG by ourselves.
//!
//! Must never load anything from elsewhere. Invariant: however long the run, a line has at most [`MOST_POINTS`] points,
//! and no peak is lost: of each stretch the highest counts.

use std::fmt::Write;

use fogline_core::scaling::backtest::Moment;
use fogline_core::time::Timestamp;

use crate::output::moment;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const MOST_POINTS: usize = 900;

/// One panel of the chart.
struct Panel {
    top: f64,
    height: f64,
    most: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - value / self.most)
    }

    /// Lines at round values, with their figures.
    fn grid(&self, out: &mut String) {
        let step = round_step(self.most);
        let mut value = 0.0;
        while value <= self.most + step * 1e-6 {
            let y = self.y(value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                figure(value),
            );
            value += step;
        }
    }
}

/// The whole chart.
pub fn chart(moments: &[Moment]) -> String {
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return String::new() };
    let span = last.at.since(first.at).as_secs_f64().max(1.0);
    let x = |at: Timestamp| LEFT + (WIDTH - LEFT - RIGHT) * at.since(first.at).as_secs_f64() / span;
    let highest = |of: fn(&Moment) -> f64| moments.iter().map(of).fold(1.0, f64::max) * 1.05;
    let load = Panel { top: 24.0, height: 150.0, most: highest(|moment| moment.load) };
    let count = |moment: &Moment| f64::from(moment.demanded.max(moment.ready).max(moment.asked));
    let replicas = Panel { top: 222.0, height: 210.0, most: highest(count) };
    let mut out = String::new();
    for panel in [&load, &replicas] {
        panel.grid(&mut out);
    }
    let _ = write!(
        out,
        "<text class=\"title\" x=\"{LEFT}\" y=\"14\">Load</text>\
         <text class=\"title\" x=\"{LEFT}\" y=\"212\">Replicas</text>"
    );
    times(&mut out, first.at, span);
    line(&mut out, "load", moments, x, |moment| moment.load, &load);
    line(&mut out, "asked", moments, x, |moment| f64::from(moment.asked), &replicas);
    line(&mut out, "supplied", moments, x, |moment| f64::from(moment.ready), &replicas);
    line(&mut out, "demanded", moments, x, |moment| f64::from(moment.demanded), &replicas);
    let label = format!(
        "Load, demanded and supplied replicas from {} to {}: at most {} were demanded and {} supplied.",
        moment(first.at),
        moment(last.at),
        moments.iter().map(|one| one.demanded).max().unwrap_or(0),
        moments.iter().map(|one| one.ready).max().unwrap_or(0),
    );
    format!(
        "<svg viewBox=\"0 0 {WIDTH} 464\" role=\"img\" aria-labelledby=\"chart-title\" preserveAspectRatio=\"xMidYMid meet\">\
         <title id=\"chart-title\">{label}</title>{out}</svg>"
    )
}

/// A line in steps: a value holds until the next one.
fn line(
    out: &mut String,
    class: &str,
    moments: &[Moment],
    x: impl Fn(Timestamp) -> f64,
    value: impl Fn(&Moment) -> f64,
    panel: &Panel,
) {
    let stretch = moments.len().div_ceil(MOST_POINTS).max(1);
    let mut path = String::new();
    let mut before: Option<f64> = None;
    for chunk in moments.chunks(stretch) {
        let highest = chunk.iter().map(&value).fold(f64::MIN, f64::max);
        let (at, y) = (x(chunk[0].at), panel.y(highest));
        let _ = match before {
            None => write!(path, "M{at:.1} {y:.1}"),
            // What does not change needs no point.
            Some(before) if (before - y).abs() < 0.05 => Ok(()),
            Some(_) => write!(path, "H{at:.1}V{y:.1}"),
        };
        before = Some(y);
    }
    if let Some(last) = moments.last() {
        let _ = write!(path, "H{:.1}", x(last.at));
    }
    let _ = write!(out, "<path class=\"line {class}\" d=\"{path}\"/>");
}

/// Times along the bottom, as many as have room.
fn times(out: &mut String, start: Timestamp, span: f64) {
    const STEPS: [f64; 14] = [
        60.0,
        300.0,
        600.0,
        1_800.0,
        3_600.0,
        7_200.0,
        14_400.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        604_800.0,
        2_419_200.0,
        7_257_600.0,
    ];
    let step = STEPS.into_iter().find(|step| span / step <= 8.0).unwrap_or(span);
    let begin = start.as_micros() as f64 / 1e6;
    let mut at = (begin / step).ceil() * step;
    while at <= begin + span {
        let x = LEFT + (WIDTH - LEFT - RIGHT) * (at - begin) / span;
        let text = moment(Timestamp::from_micros((at * 1e6) as i64));
        let shown = if step >= 86_400.0 { text.get(5..10) } else { text.get(11..16) }.unwrap_or_default();
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"24\" y2=\"432\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"450\" text-anchor=\"middle\">{shown}</text>"
        );
        at += step;
    }
}

/// A round step that cuts `most` into three to seven.
fn round_step(most: f64) -> f64 {
    let rough = (most / 5.0).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    factor * power
}

fn figure(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        value if value >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        value => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(count: u32, ready: impl Fn(u32) -> u32) -> Vec<Moment> {
        let at = |index: u32| Timestamp::from_micros(1_769_601_600_000_000 + i64::from(index) * 15_000_000);
        (0..count)
            .map(|index| Moment { at: at(index), load: 1.0, demanded: 1, asked: 1, ready: ready(index) })
            .collect()
    }

    #[test]
    fn a_long_run_keeps_its_peaks_and_stays_small() {
        let svg = chart(&moments(100_000, |index| if index == 77_777 { 50 } else { 1 }));
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
        assert!(svg.contains("at most 1 were demanded and 50 supplied"));
        // 50 of at most 52.5 replicas, in a panel from 222 down to 432.
        assert!(svg.contains("V232.0"), "the peak is drawn");
    }

    #[test]
    fn steps_are_round() {
        for (most, step) in [(1.05, 0.5), (10.5, 5.0), (52.5, 20.0), (105.0, 50.0), (4_200.0, 1_000.0)] {
            assert!((round_step(most) - step).abs() < 1e-9, "{most}: {}", round_step(most));
        }
        assert_eq!([figure(0.5), figure(20.0), figure(12_500.0), figure(2e6)], ["0.5", "20", "12.5k", "2M"]);
    }
}
