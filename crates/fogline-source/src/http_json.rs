//! A number in a JSON document that a server gives over HTTP.
//!
//! A number, or a text that is one. Nothing at the pointer, or `null` there, is a missing sample.

use fogline_core::scaling::sample::Sample;
use fogline_core::time::Timestamp;
use serde_json::Value;

use crate::Answer;
use crate::place::Call;

pub(crate) async fn ask(call: &Call<'_>, pointer: &str, now: Timestamp) -> Result<Answer, String> {
    call.send(call.url.clone(), None, |status, body, _| {
        match status {
            200..=299 => {}
            300..=399 => return Err(format!("answers {status}, which leads elsewhere and is not followed")),
            _ => return Err(format!("answers {status}")),
        }
        // What the parser says has no word of the document in it.
        let document: Value =
            serde_json::from_slice(&body).map_err(|error| format!("the answer is no JSON: {error}"))?;
        match document.pointer(pointer) {
            None | Some(Value::Null) => Ok(Answer::of(Sample::Missing)),
            Some(value) => Answer::number(number(value).ok_or_else(|| not_one(pointer, value))?, now),
        }
    })
    .await
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn not_one(pointer: &str, value: &Value) -> String {
    let what = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) | Value::String(_) => "a text that is no number",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let at = if pointer.is_empty() { "the document".to_owned() } else { format!("at {pointer}") };
    format!("{at} is {what}; accepted: a number, or a text that is one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_a_number() {
        for (value, expected) in [
            (json!(3), Some(3.0)),
            (json!(-0.5), Some(-0.5)),
            (json!(u64::MAX), Some(18_446_744_073_709_551_615.0)),
            (json!("12.5"), Some(12.5)),
            (json!(" 7\n"), Some(7.0)),
            (json!("1e3"), Some(1_000.0)),
            (json!(""), None),
            (json!("12 apples"), None),
            (json!("0x10"), None),
            (json!(true), None),
            (json!([1]), None),
            (json!({"a": 1}), None),
        ] {
            assert_eq!(number(&value), expected, "{value}");
        }
    }
}
