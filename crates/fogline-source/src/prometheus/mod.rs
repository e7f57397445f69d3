//! A Prometheus server, or anything with its HTTP API.
//!
//! Without a `range` an instant query; with one a range query up to now, so that a rule's duration has no gap after we
//! were away. The questions are sent by POST, which has no limit of a URL's length. What an answer means: `answer`.

mod answer;

use std::time::Duration;

use fogline_core::scaling::policy::Aggregate;
use fogline_core::scaling::sample::INTERVALS_TO_STALE;
use fogline_core::time::Timestamp;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::Answer;
use crate::place::Call;

/// How many points of a series are asked for at most.
const MOST_POINTS: u32 = 1_000;

/// One question.
pub(crate) struct Ask<'a> {
    pub(crate) query: &'a str,
    pub(crate) range: Option<Duration>,
    pub(crate) aggregate: Option<Aggregate>,
    /// How often it is asked.
    pub(crate) interval: Duration,
    pub(crate) now: Timestamp,
}

pub(crate) async fn ask(call: &Call<'_>, ask: &Ask<'_>) -> Result<Answer, String> {
    let (path, form) = question(ask);
    let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
    let url = below(&call.url, path)?;
    call.send(url, body, |status, body, secret| answer::read(status, &body, ask, secret)).await
}

/// Path and form of a question.
fn question(ask: &Ask<'_>) -> (&'static str, String) {
    let mut form = Serializer::new(String::new());
    form.append_pair("query", ask.query);
    let path = match ask.range {
        None => {
            form.append_pair("time", &seconds(ask.now));
            "api/v1/query"
        }
        Some(range) => {
            let Steps { step, count } = Steps::over(range, ask.interval);
            form.append_pair("start", &seconds(ask.now.minus(step * count)));
            form.append_pair("end", &seconds(ask.now));
            form.append_pair("step", &step.as_secs_f64().to_string());
            "api/v1/query_range"
        }
    };
    (path, form.finish())
}

/// How a range is cut: `count` steps, the last point at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Steps {
    step: Duration,
    count: u32,
}

impl Steps {
    /// One an interval, as the question is asked. A long range takes longer steps, but none so long that its points would
    /// count as a gap; what does not fit then is left out at the far end.
    fn over(range: Duration, interval: Duration) -> Self {
        let most = MOST_POINTS - 1;
        let interval = interval.max(Duration::from_secs(1));
        let even = Duration::from_secs(range.as_secs().div_ceil(u64::from(most)));
        let step = even.clamp(interval, interval * INTERVALS_TO_STALE);
        let count = u32::try_from(range.as_micros() / step.as_micros()).unwrap_or(most).min(most);
        Self { step, count }
    }
}

/// Seconds since 1970, as Prometheus writes and reads them.
fn seconds(at: Timestamp) -> String {
    let micros = at.as_micros();
    format!("{}.{:03}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) / 1_000)
}

/// The server may live below a path of its own.
fn below(base: &Url, path: &str) -> Result<Url, String> {
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| "the URL has no path")?.pop_if_empty().extend(path.split('/'));
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_at_most_a_thousand_points_and_no_gap_among_them() {
        let s = Duration::from_secs;
        for (range, interval, step, count) in [
            (60, 15, 15, 4),
            (10, 15, 15, 0),
            (3_600, 15, 15, 240),
            (14_985, 15, 15, 999),
            (15_000, 15, 16, 937),
            (36_000, 15, 37, 972),
            (86_400, 15, 45, 999),
            (86_400, 60, 87, 993),
            (86_400, 3_600, 3_600, 24),
        ] {
            let steps = Steps::over(s(range), s(interval));
            assert_eq!(steps, Steps { step: s(step), count }, "{range} s every {interval} s");
        }
    }

    #[test]
    fn a_server_may_live_below_a_path() {
        for (base, url) in [
            ("http://h:9090", "http://h:9090/api/v1/query"),
            ("http://h:9090/", "http://h:9090/api/v1/query"),
            ("https://h/prom/", "https://h/prom/api/v1/query"),
            ("https://h/prom?tenant=a", "https://h/prom/api/v1/query?tenant=a"),
        ] {
            assert_eq!(below(&Url::parse(base).expect("a URL"), "api/v1/query").expect("one").as_str(), url);
        }
    }

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(seconds(Timestamp::from_micros(1_764_064_800_123_456)), "1764064800.123");
        assert_eq!(seconds(Timestamp::from_micros(1_764_064_800_000_001)), "1764064800.000");
    }
}
