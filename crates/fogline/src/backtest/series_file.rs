//! Reads a series from CSV: a header, then a row a moment.
//!
//! The first column is `time`: RFC 3339, or seconds since 1970 (or since any other beginning). Every other column is a
//! metric under its name; an empty cell is a missing sample, not 0. Commas separate, double quotes enclose, lines that
//! are empty or begin with `#` are passed over. Invariant: either every row is accepted, or each fault is shown with its
//! line.

use std::io::Read;
use std::path::Path;

use fogline_core::scaling::backtest::{Row, Series, SeriesError};
use fogline_core::time::Timestamp;

use crate::exit::{Exit, Failure, Outcome};

/// The largest file that is read: a year of minutes with many columns is smaller.
const MOST_BYTES: u64 = 64 * 1_024 * 1_024;
/// More faults than this help nobody.
const MOST_FAULTS: usize = 10;
const HINT: &str = "the first line names the columns, beginning with time, such as: time,request_rate\n\
                    times are RFC 3339 or seconds, values are numbers, an empty cell is a missing sample";

/// Reads the series; `-` is standard input.
pub fn load(path: &Path) -> Outcome<Series> {
    let is_stdin = path == Path::new("-");
    let shown = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let failed = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failure };
        Failure::new(exit, format!("cannot read {shown}")).because(error)
    };
    let source: Box<dyn Read> =
        if is_stdin { Box::new(std::io::stdin().lock()) } else { Box::new(std::fs::File::open(path).map_err(failed)?) };
    let mut bytes = Vec::new();
    source.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("{shown} is larger than {} MB", MOST_BYTES >> 20);
        return Err(Failure::new(Exit::Refused, message).hint("thin the series out: a row a minute is enough"));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::new(Exit::Refused, format!("{shown} is not UTF-8 text")))?;
    parse(&text).map_err(|faults| {
        let mut failure = Failure::new(Exit::Refused, format!("{shown} is no series"));
        failure.causes = faults;
        failure.hint(HINT)
    })
}

fn parse(text: &str) -> Result<Series, Vec<String>> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((header, number)) = lines.next() else { return Err(vec!["it is empty".to_owned()]) };
    let names = cells(header).map_err(|fault| vec![format!("line {number}: {fault}")])?;
    let metrics = columns(&names).map_err(|fault| vec![format!("line {number}: {fault}")])?;
    let (mut rows, mut numbers, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for (line, number) in lines {
        match row(line, &metrics) {
            Ok(row) => {
                rows.push(row);
                numbers.push(number);
            }
            Err(fault) => faults.push(format!("line {number}: {fault}")),
        }
        if faults.len() == MOST_FAULTS {
            faults.push("and perhaps more".to_owned());
            break;
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Series::new(metrics, rows).map_err(|error| {
        let line = match error {
            SeriesError::NotRising { row } | SeriesError::Cells { row, .. } => numbers.get(row).copied(),
            SeriesError::TooShort { .. } => None,
        };
        vec![line.map_or_else(|| error.to_string(), |line: usize| format!("line {line}: {error}"))]
    })
}

fn columns(names: &[String]) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    match names.first().map(String::as_str) {
        Some("time" | "timestamp") => {}
        other => return Err(format!("the first column is {:?}, where it must be time", other.unwrap_or(""))),
    }
    let metrics = names[1..].to_vec();
    if metrics.is_empty() {
        return Err("there is no column beside time".to_owned());
    }
    for (index, name) in metrics.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name", index + 2));
        }
        if metrics[..index].contains(name) {
            return Err(format!("{name:?} is there twice"));
        }
    }
    Ok(metrics)
}

fn row(line: &str, metrics: &[String]) -> Result<Row, String> {
    let cells = cells(line)?;
    if cells.len() != metrics.len() + 1 {
        return Err(format!("{} cells, where the header has {}", cells.len(), metrics.len() + 1));
    }
    let at = time(cells[0].trim())?;
    let values = cells[1..].iter().zip(metrics).map(|(cell, metric)| value(cell.trim(), metric));
    Ok(Row { at, values: values.collect::<Result<_, _>>()? })
}

fn time(text: &str) -> Result<Timestamp, String> {
    let refused = || format!("{text:?} is no time: try 2026-01-28T08:00:00Z, or seconds");
    if let Ok(seconds) = text.parse::<f64>() {
        let micros = seconds * 1e6;
        return if micros.is_finite() && micros.abs() < 1e17 {
            Ok(Timestamp::from_micros(micros.round() as i64))
        } else {
            Err(refused())
        };
    }
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| refused())
}

fn value(text: &str, metric: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<f64>().ok().filter(|value| value.is_finite());
    number.map(Some).ok_or_else(|| format!("{text:?} is no number, in column {metric}"))
}

/// Cuts a line at its commas; double quotes enclose a cell, and two of them are one.
fn cells(line: &str) -> Result<Vec<String>, String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted || cell.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    cells.push(cell);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_read() {
        let text = "\u{feff}time,request_rate,\"queue, long\"\n# a remark\n2026-01-28T08:00:00Z, 10 ,\n\n\
                    2026-01-28T09:00:00+01:00,1e2,\"3\"\n2026-01-28T08:02:00Z,0,4\n";
        let error = parse(text).expect_err("the second is the same instant as the first");
        assert_eq!(error, ["line 5: the time does not rise"]);
        let series = parse(&text.replace("09:00:00+01:00", "09:01:00+01:00")).expect("a series");
        assert_eq!(series.metrics(), ["request_rate", "queue, long"]);
        let values: Vec<_> = series.rows().iter().map(|row| row.values.clone()).collect();
        assert_eq!(values, [[Some(10.0), None], [Some(100.0), Some(3.0)], [Some(0.0), Some(4.0)]]);
        assert_eq!(parse("time,a\n0,1\n60,2\n").expect("seconds will do").interval().as_secs(), 60);
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        for (text, faults) in [
            ("", &["it is empty"][..]),
            ("request_rate,time\n", &["line 1: the first column is \"request_rate\""]),
            ("time\n0\n", &["line 1: there is no column beside time"]),
            ("time,a,a\n", &["line 1: \"a\" is there twice"]),
            ("time,a,\n", &["line 1: column 3 has no name"]),
            ("time,a\n0,1\n", &["it has 1 rows"]),
            ("time,a\n0,1\n60\n", &["line 3: 1 cells, where the header has 2"]),
            (
                "time,a\n0,1\nnoon,2\n120,many\n180,NaN\n",
                &["line 3: \"noon\" is no time", "line 4: \"many\" is no number, in column a", "line 5: \"NaN\""],
            ),
            ("time,a\n0,1\n60,\"2\n", &["line 3: a quote is not closed"]),
            ("time,a\n60,1\n0,2\n", &["line 3: the time does not rise"]),
        ] {
            let found = parse(text).expect_err(text);
            assert_eq!(found.len(), faults.len(), "{found:?}");
            for (found, part) in found.iter().zip(faults) {
                assert!(found.contains(part), "no {part:?} in {found:?}");
            }
        }
    }
}
