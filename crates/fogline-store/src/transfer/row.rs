//! A row as a backup holds it: the same text for the same values, whichever backend they come from.
//!
//! Invariant: [`line`] of what [`parse`] has read is what was read. Tests: below.

use serde_json::{Number, Value};

use super::catalogue::{Column, Kind};

/// The values of a row, in the order of its columns.
pub(crate) type Row = Vec<Value>;

/// Beyond these a whole number is no integer to a reader of JSON, however it is written.
const LOWEST: f64 = -9_223_372_036_854_775_808.0;
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

/// One line, without its end.
pub(crate) fn line(row: &Row) -> String {
    Value::from(row.clone()).to_string()
}

/// Reads a line, and sees to it that each value is one that its column can hold.
pub(crate) fn parse(line: &str, columns: &[Column]) -> Result<Row, String> {
    let row: Row = serde_json::from_str(line).map_err(|error| format!("no row: {error}"))?;
    if row.len() != columns.len() {
        return Err(format!("it has {} values, and the table {} columns", row.len(), columns.len()));
    }
    for (value, column) in row.iter().zip(columns) {
        if !fits(value, column.kind) {
            return Err(format!("column {}: this is no {}", column.name, wanted(column.kind)));
        }
    }
    Ok(row)
}

fn fits(value: &Value, kind: Kind) -> bool {
    if value.is_null() {
        return true;
    }
    match kind {
        Kind::Id => value.as_str().is_some_and(is_id),
        Kind::Text => value.is_string(),
        Kind::Integer | Kind::Time => value.as_i64().is_some(),
        Kind::Float => value.as_f64().is_some_and(f64::is_finite),
        Kind::Flag => value.is_boolean(),
        Kind::Document => true,
        Kind::Bytes => value.as_str().is_some_and(|text| bytes(text).is_some()),
    }
}

const fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "UUID",
        Kind::Text => "text",
        Kind::Integer => "whole number",
        Kind::Float => "number",
        Kind::Flag => "true or false",
        Kind::Time => "time in microseconds",
        Kind::Document => "JSON",
        Kind::Bytes => "hexadecimal text",
    }
}

fn is_id(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| match dashes.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// A number with a point; nothing where it is not finite.
pub(crate) fn float(number: f64) -> Option<Value> {
    // Negative zero means nothing here, and not every database keeps it.
    Number::from_f64(number + 0.0).map(Value::Number)
}

/// A JSON document as every backend gives it back: keys in order, a whole number without a point.
pub(crate) fn document(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).map(in_order)
}

fn in_order(value: Value) -> Value {
    match value {
        Value::Number(number) => whole(number),
        Value::Array(values) => values.into_iter().map(in_order).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields.into_iter().map(|(name, field)| (name, in_order(field))).collect()
        }
        value => value,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "its size was looked at, and it has no fraction"
)]
fn whole(number: Number) -> Value {
    match number.as_f64() {
        // PostgreSQL writes 1.7e18 out, and then it reads as an integer.
        Some(float) if !number.is_f64() || float.fract() != 0.0 => Value::Number(number),
        Some(float) if (LOWEST..0.0).contains(&float) => Value::from(float as i64),
        Some(float) if (0.0..BEYOND).contains(&float) => Value::from(float as u64),
        _ => Value::Number(number),
    }
}

/// Hexadecimal text of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal text, as [`hex`] writes it.
pub(crate) fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 7] = [
        Column { name: "id", kind: Kind::Id, since: 1 },
        Column { name: "name", kind: Kind::Text, since: 1 },
        Column { name: "size", kind: Kind::Integer, since: 1 },
        Column { name: "cores", kind: Kind::Float, since: 1 },
        Column { name: "new", kind: Kind::Flag, since: 1 },
        Column { name: "spec", kind: Kind::Document, since: 1 },
        Column { name: "hash", kind: Kind::Bytes, since: 1 },
    ];

    #[test]
    fn a_line_is_its_own_inverse() {
        let text = concat!(
            r#"["00000000-0000-7000-8000-00000000000a","Zoë \"β\"\n\u001b",-7,0.501,true,"#,
            r#"{"a":[1,0.1,"x"],"b":null},"00ff"]"#
        );
        assert_eq!(line(&parse(text, &COLUMNS).expect("a row")), text);
        let nothing = "[null,null,null,null,null,null,null]";
        assert_eq!(line(&parse(nothing, &COLUMNS).expect("a row")), nothing);
    }

    #[test]
    fn what_a_column_cannot_hold_is_refused() {
        let good = ["null"; 7];
        for (at, bad, words) in [
            (0, "\"x\"", "column id: this is no UUID"),
            (0, "\"00000000-0000-7000-8000-00000000000A\"", "no UUID"),
            (1, "7", "column name: this is no text"),
            (2, "1.5", "column size: this is no whole number"),
            (2, "18446744073709551615", "no whole number"),
            (3, "\"1\"", "column cores: this is no number"),
            (4, "1", "column new: this is no true or false"),
            (6, "\"0\"", "column hash: this is no hexadecimal text"),
            (6, "\"0G\"", "no hexadecimal text"),
            (6, "null,null", "8 values, and the table 7 columns"),
            (6, "{", "no row"),
        ] {
            let mut cells = good;
            cells[at] = bad;
            let error = parse(&format!("[{}]", cells.join(",")), &COLUMNS).expect_err(bad);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn documents_that_mean_the_same_look_the_same() {
        let one = document(r#"{"b": {"y": 1.0, "x": [1e3, 0.1]}, "a": -0.0}"#).expect("JSON");
        let other = document(r#"{"a":0,"b":{"x":[1000,0.10],"y":1}}"#).expect("JSON");
        assert_eq!(one.to_string(), other.to_string());
        assert_eq!(one.to_string(), r#"{"a":0,"b":{"x":[1000,0.1],"y":1}}"#);
        for (written, out) in [
            ("1.7e18", "1700000000000000000"),
            ("-9.2e18", "-9200000000000000000"),
            ("1.8e19", "18000000000000000000"),
            ("1e20", "100000000000000000000"),
            ("-1e19", "-10000000000000000000"),
        ] {
            let (one, other) = (document(written).expect("JSON"), document(out).expect("JSON"));
            assert_eq!(one.to_string(), other.to_string());
        }
    }

    #[test]
    fn floats_come_back_exactly() {
        for number in [0.1, 0.501, 16.0, 1e300, 5e-324, 0.1 + 0.2, f64::MAX] {
            let text = float(number).expect("finite").to_string();
            let back: Value = serde_json::from_str(&text).expect("a number");
            assert_eq!(back.as_f64().map(f64::to_bits), Some(number.to_bits()), "{text}");
        }
        assert_eq!(float(f64::NAN), None);
        assert_eq!(float(-0.0).map(|zero| zero.to_string()).as_deref(), Some("0.0"));
    }
}
