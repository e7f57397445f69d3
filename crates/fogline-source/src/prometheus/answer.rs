//! What an answer of Prometheus means.
//!
//! An empty vector is missing, not 0. NaN and the infinities are errors: they come of dividing by nothing. Several series
//! are an error that names them, unless the question says what to make of them.
//! (prometheus.io/docs/prometheus/latest/querying/api)

use std::collections::BTreeMap;

use fogline_core::scaling::policy::Aggregate;
use fogline_core::scaling::sample::{Point, Sample};
use fogline_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Ask;
use crate::credentials::Secret;
use crate::text::{said, shown};
use crate::{Answer, can_be_reckoned};

/// How many series an error names.
const NAMED: usize = 3;
/// How much of the name of one, in characters.
const NAME_CHARS: usize = 80;

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Of a vector.
    #[serde(default)]
    value: Option<Pair>,
    /// Of a matrix.
    #[serde(default)]
    values: Option<Vec<Pair>>,
}

/// Seconds, and a number as text.
#[derive(Deserialize, Clone)]
struct Pair(f64, String);

/// `secret` is taken out of the server's words before they are shortened: half of one is found by nobody.
pub(super) fn read(status: u16, body: &[u8], ask: &Ask<'_>, secret: &Secret) -> Result<Answer, String> {
    if (300..400).contains(&status) {
        return Err(format!("answers {status}, which leads elsewhere and is not followed"));
    }
    let envelope: Result<Envelope, _> = serde_json::from_slice(body);
    let failed = |error: Option<&str>| match error {
        Some(error) => format!("answers {status}: {}", said(&secret.redact(error))),
        None => format!("answers {status}"),
    };
    if !(200..300).contains(&status) {
        return Err(failed(envelope.ok().and_then(|envelope| envelope.error).as_deref()));
    }
    let envelope = envelope.map_err(|error| format!("the answer is none of Prometheus' API: {}", position(&error)))?;
    if envelope.status != "success" {
        return Err(failed(envelope.error.as_deref()));
    }
    let Some(Data { kind, result }) = envelope.data else { return Err("the answer has no data".to_owned()) };
    match (kind.as_str(), ask.range) {
        ("vector", None) => instant(&series(result, secret)?, ask),
        ("scalar", None) => {
            let pair: Pair = parse(result)?;
            Answer::number(number(&pair.1)?, moment(&pair, ask.now)?)
        }
        ("matrix", Some(_)) => over_time(&series(result, secret)?, ask),
        (kind, range) => Err(format!(
            "the query gives a {}; accepted: {}",
            said(&secret.redact(kind)),
            if range.is_some() { "series over time" } else { "a vector of one series, or a scalar" }
        )),
    }
}

fn instant(series: &[Series], ask: &Ask<'_>) -> Result<Answer, String> {
    if series.is_empty() {
        return Ok(Answer::of(Sample::Missing));
    }
    let aggregate = one_or_aggregate(series, ask)?;
    let mut values = Vec::with_capacity(series.len());
    let mut at = ask.now;
    for one in series {
        let pair = one.value.as_ref().ok_or_else(|| format!("{} is no number but a histogram", name(one)))?;
        values.push(finite(one, number(&pair.1)?)?);
        // As old as the oldest of what it is made of.
        at = at.min(moment(pair, ask.now)?);
    }
    Answer::number(of_many(aggregate, &values), at)
}

fn over_time(series: &[Series], ask: &Ask<'_>) -> Result<Answer, String> {
    let aggregate = one_or_aggregate(series, ask)?;
    let mut by_time: BTreeMap<Timestamp, Vec<f64>> = BTreeMap::new();
    for one in series {
        let pairs = one.values.as_ref().ok_or_else(|| format!("{} is no number but a histogram", name(one)))?;
        for pair in pairs {
            by_time.entry(moment(pair, ask.now)?).or_default().push(number(&pair.1)?);
        }
    }
    let Some((at, values)) = by_time.pop_last() else { return Ok(Answer::of(Sample::Missing)) };
    let present = Answer::number(of_many(aggregate, &values), at)?;
    // Something that was no number, or too large a one, a while ago is a gap now.
    let older = by_time.into_iter().map(|(at, values)| Point { at, value: of_many(aggregate, &values) });
    Ok(Answer { history: older.filter(|point| can_be_reckoned(point.value)).collect(), ..present })
}

/// What to make of several series; of one it is the same whatever is done.
fn one_or_aggregate(series: &[Series], ask: &Ask<'_>) -> Result<Aggregate, String> {
    match ask.aggregate {
        Some(aggregate) => Ok(aggregate),
        None if series.len() <= 1 => Ok(Aggregate::Sum),
        None => {
            let names: Vec<String> = series.iter().take(NAMED).map(name).collect();
            let more = if series.len() > NAMED { ", …" } else { "" };
            Err(format!(
                "the query gives {} series ({}{more}); accepted: one, or aggregate: sum, avg, max or min",
                series.len(),
                names.join(", ")
            ))
        }
    }
}

fn of_many(aggregate: Aggregate, values: &[f64]) -> f64 {
    // `max` and `min` of Rust pass over what is no number, and nothing may.
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    match aggregate {
        Aggregate::Sum => values.iter().sum(),
        Aggregate::Avg => values.iter().sum::<f64>() / values.len() as f64,
        Aggregate::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Aggregate::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
    }
}

fn finite(series: &Series, value: f64) -> Result<f64, String> {
    let what = || format!("{} is {value}, which is no number to compare with", name(series));
    value.is_finite().then_some(value).ok_or_else(what)
}

/// `up{instance="a:9090",job="a"}`.
fn name(series: &Series) -> String {
    let (mut text, mut labels) = (String::new(), Vec::new());
    for (label, value) in &series.metric {
        if label == "__name__" { text.clone_from(value) } else { labels.push(format!("{label}={value:?}")) }
    }
    if !labels.is_empty() || text.is_empty() {
        text.push_str(&format!("{{{}}}", labels.join(",")));
    }
    shown(&text, NAME_CHARS)
}

fn number(text: &str) -> Result<f64, String> {
    // Prometheus writes NaN, +Inf and -Inf, which Rust reads too.
    text.parse().map_err(|_| "the value is a text that is no number".to_owned())
}

/// When a value was measured: never later than now, or a server whose clock is ahead would keep it fresh for ever.
fn moment(pair: &Pair, now: Timestamp) -> Result<Timestamp, String> {
    let micros = (pair.0 * 1_000.0).round() * 1_000.0;
    if !(0.0..=9e15).contains(&micros) {
        return Err(format!("the time {} of a value is none", pair.0));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range that was checked")]
    Ok(Timestamp::from_micros(micros as i64).min(now))
}

fn series(result: Value, secret: &Secret) -> Result<Vec<Series>, String> {
    let mut series: Vec<Series> = parse(result)?;
    if !matches!(secret, Secret::None) {
        for one in &mut series {
            let labels = std::mem::take(&mut one.metric);
            one.metric = labels.iter().map(|(label, value)| (secret.redact(label), secret.redact(value))).collect();
        }
    }
    Ok(series)
}

fn parse<T: serde::de::DeserializeOwned>(result: Value) -> Result<T, String> {
    serde_json::from_value(result)
        .map_err(|_| "the answer is none of Prometheus' API: a result has the wrong form".to_owned())
}

/// Where a document went wrong, without its words.
fn position(error: &serde_json::Error) -> String {
    format!("it goes wrong in line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn asked(range: bool, aggregate: Option<Aggregate>, body: &str) -> Result<Answer, String> {
        let range = range.then_some(Duration::from_secs(60));
        let ask = Ask { query: "q", range, aggregate, interval: Duration::from_secs(15), now: NOW };
        read(200, body.as_bytes(), &ask, &Secret::None)
    }

    fn vector(values: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{values}]}}}}"#)
    }

    fn value(answer: Result<Answer, String>) -> (f64, i64) {
        match answer {
            Ok(Answer { sample: Sample::Value { value, at }, .. }) => (value, at.as_micros() - NOW.as_micros()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_moment_is_the_sources_and_never_after_now() {
        let one = |at: &str| asked(false, None, &vector(&format!(r#"{{"metric":{{}},"value":[{at},"4.5"]}}"#)));
        assert_eq!(value(one("1699999990.5")), (4.5, -9_500_000));
        assert_eq!(value(one("1700009999")), (4.5, 0));
        assert!(one("-1").is_err() && one("1e300").is_err());
    }

    #[test]
    fn an_empty_vector_is_missing_and_no_number_is_an_error() {
        assert_eq!(asked(false, None, &vector("")).map(|answer| answer.sample), Ok(Sample::Missing));
        for bad in ["NaN", "+Inf", "-Inf", "many", ""] {
            let said = asked(false, None, &vector(&format!(r#"{{"metric":{{"job":"a"}},"value":[1,"{bad}"]}}"#)));
            assert!(said.expect_err(bad).contains("no number"), "{bad}");
        }
    }

    #[test]
    fn several_series_are_named_unless_something_is_made_of_them() {
        let one = |name: &str, at: u32, value: &str| {
            format!(r#"{{"metric":{{"__name__":"up","job":"{name}"}},"value":[{at},"{value}"]}}"#)
        };
        let four =
            vector(&[one("a", 1_699_999_999, "1"), one("b", 9, "2"), one("c", 99, "3"), one("d", 99, "6")].join(","));
        let said = asked(false, None, &four).expect_err("four");
        assert!(said.contains(r#"4 series (up{job="a"}, up{job="b"}, up{job="c"}, …)"#), "{said}");
        for (aggregate, expected) in
            [(Aggregate::Sum, 12.0), (Aggregate::Avg, 3.0), (Aggregate::Max, 6.0), (Aggregate::Min, 1.0)]
        {
            let (value, at) = value(asked(false, Some(aggregate), &four));
            assert_eq!((value, at), (expected, 9_000_000 - NOW.as_micros()), "{aggregate:?}: as old as the oldest");
        }
        let spoilt = vector(&[one("a", 1, "1"), one("b", 1, "NaN")].join(","));
        for aggregate in [Aggregate::Sum, Aggregate::Avg, Aggregate::Max, Aggregate::Min] {
            assert!(asked(false, Some(aggregate), &spoilt).expect_err("NaN").contains(r#"up{job="b"} is NaN"#));
        }
    }

    #[test]
    fn a_scalar_is_fine_and_other_types_are_not() {
        let of = |kind: &str, result: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
        };
        assert_eq!(value(asked(false, None, &of("scalar", r#"[1700000000,"7"]"#))), (7.0, 0));
        for (range, kind, result) in [
            (false, "string", r#"[1700000000,"7"]"#),
            (false, "matrix", "[]"),
            (true, "vector", "[]"),
            (true, "scalar", r#"[1700000000,"7"]"#),
        ] {
            assert!(asked(range, None, &of(kind, result)).expect_err(kind).contains("accepted:"), "{kind}");
        }
        let histogram = r#"[{"metric":{"job":"a"},"histogram":[1,{}]}]"#;
        assert!(asked(false, None, &of("vector", histogram)).expect_err("histogram").contains("histogram"));
    }

    #[test]
    fn a_range_gives_the_last_value_and_the_others_as_history() {
        let of =
            |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#);
        assert_eq!(asked(true, None, &of("")).map(|answer| answer.sample), Ok(Sample::Missing));
        let body = of(r#"{"metric":{"i":"a"},"values":[[1699999970,"1"],[1699999985,"NaN"],[1700000000,"3"]]},
                         {"metric":{"i":"b"},"values":[[1699999970,"5"],[1700000000,"7"]]}"#);
        assert!(asked(true, None, &body).expect_err("two").contains("2 series"));
        let answer = asked(true, Some(Aggregate::Sum), &body).expect("two, summed");
        let history: Vec<(i64, f64)> =
            answer.history.iter().map(|point| (point.at.as_micros() - NOW.as_micros(), point.value)).collect();
        assert_eq!(history, [(-30_000_000, 6.0)], "what was no number is a gap");
        assert_eq!(value(Ok(answer)), (10.0, 0));
        let ends_in_nan = of(r#"{"metric":{},"values":[[1699999970,"1"],[1700000000,"NaN"]]}"#);
        assert!(asked(true, None, &ends_in_nan).is_err());
    }

    #[test]
    fn a_failure_is_told_in_the_servers_words_without_what_moves_a_cursor() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"parse error: \u001b[31mred\u0000"}"#;
        let ask = Ask { query: "q", range: None, aggregate: None, interval: Duration::from_secs(15), now: NOW };
        for status in [200, 400, 503] {
            let said = read(status, body.as_bytes(), &ask, &Secret::None).expect_err("an error");
            assert_eq!(said, format!("answers {status}: parse error:  [31mred"));
        }
        assert_eq!(read(502, b"<html>bad gateway</html>", &ask, &Secret::None).expect_err("an error"), "answers 502");
        assert!(read(200, b"<html>", &ask, &Secret::None).expect_err("no JSON").contains("none of Prometheus' API"));
        assert!(read(302, b"", &ask, &Secret::None).expect_err("a redirect").contains("not followed"));
    }
}
