//! Turns what serde says of a body into the field at fault, what is wrong with it, and what would be accepted.

use fogline_core::spec::FieldError;
use serde::Serialize;
use serde_json::Value;

/// Errors quote values, and values may be as large as a body.
const MOST_CHARS: usize = 300;

/// `path` is where in the body it was, as `serde_path_to_error` gives it; `.` for the whole.
pub(crate) fn field_error(path: &str, error: &str) -> FieldError {
    let path = cut(path);
    let parent = path.trim_matches('.');
    let error = without_position(error);
    if let Some((name, expected)) = named(error, "unknown field ") {
        let accepted = expected.strip_prefix("expected one of ").or_else(|| expected.strip_prefix("expected "));
        let accepted = accepted.map_or_else(|| "no field here".to_owned(), |names| names.replace('`', ""));
        return FieldError::new(joined(parent, &name), "is not known", accepted);
    }
    if let Some((name, _)) = named(error, "missing field ") {
        return FieldError::new(joined(parent, &name), "is missing", "a value");
    }
    if let Some((name, _)) = named(error, "duplicate field ") {
        return FieldError::new(joined(parent, &name), "is there twice, or under two names", "one value");
    }
    let field = if parent.is_empty() { "body" } else { parent };
    if let Some((message, expected)) = error.rsplit_once(", expected ") {
        return FieldError::new(field, cut(message), plain(expected));
    }
    match error.split_once(": ") {
        Some((message, accepted)) => FieldError::new(field, cut(message), cut(accepted)),
        None => FieldError::new(field, cut(error), "a value as the API's description says"),
    }
}

/// Serde takes a list for a struct, value by value in the order of the fields. Nobody means that: names the first field that
/// was sent as a list and read as an object.
pub(crate) fn list_for_object(sent: &Value, read: &impl Serialize) -> Option<FieldError> {
    fn find(at: &str, sent: &Value, read: &Value) -> Option<String> {
        match (sent, read) {
            (Value::Array(_), Value::Object(_)) => Some(at.to_owned()),
            (Value::Object(sent), Value::Object(read)) => sent.iter().find_map(|(name, inner)| {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                find(&at, inner, read.get(name)?)
            }),
            (Value::Array(sent), Value::Array(read)) => {
                let mut pairs = sent.iter().zip(read).enumerate();
                pairs.find_map(|(index, (sent, read))| find(&format!("{at}[{index}]"), sent, read))
            }
            _ => None,
        }
    }
    let read = serde_json::to_value(read).ok()?;
    find("", sent, &read).map(|field| FieldError::new(cut(&field), "is a list", "an object"))
}

/// `text` is what axum says of a query string: the parameter, a colon, and what serde says.
pub(super) fn query_error(text: &str) -> FieldError {
    match text.split_once(": ") {
        Some((name, error)) if !name.contains(' ') => {
            let error = field_error(name, error);
            let accepted = match error.message.as_str() {
                "invalid digit found in string" | "number too large to fit in target type" => {
                    "a whole number, 0 or more"
                }
                "provided string was not `true` or `false`" => "true or false",
                _ => return error,
            };
            FieldError { accepted: accepted.to_owned(), ..error }
        }
        _ => field_error(".", text),
    }
}

/// `serde_json` says the line and column of data errors, too; the field says it better.
fn without_position(error: &str) -> &str {
    error.rfind(" at line ").map_or(error, |at| &error[..at])
}

/// The name in backquotes after `prefix`, and what follows it.
fn named<'a>(error: &'a str, prefix: &str) -> Option<(String, &'a str)> {
    let (name, rest) = error.strip_prefix(prefix)?.strip_prefix('`')?.rsplit_once_name()?;
    Some((cut(name), rest.trim_start_matches(", ")))
}

trait RsplitName {
    fn rsplit_once_name(&self) -> Option<(&str, &str)>;
}

impl RsplitName for str {
    /// Names may hold backquotes themselves: the end is the first backquote before a comma or the end of the text.
    fn rsplit_once_name(&self) -> Option<(&str, &str)> {
        match self.find("`, ") {
            Some(at) => Some((&self[..at], &self[at + 1..])),
            None => self.strip_suffix('`').map(|name| (name, "")),
        }
    }
}

/// The path with the name at its end. Where the parser had begun with the field, its name is there already.
fn joined(parent: &str, name: &str) -> String {
    let last = parent.rsplit('.').next().unwrap_or_default();
    if parent.is_empty() || parent == "?" {
        name.to_owned()
    } else if last == name {
        parent.to_owned()
    } else if last == "?" {
        format!("{}{name}", &parent[..parent.len() - 1])
    } else {
        format!("{parent}.{name}")
    }
}

/// Rust's names of what is expected, in words.
fn plain(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => cut(&other.replace('`', "")),
    }
}

pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= MOST_CHARS {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST_CHARS).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_names_its_field() {
        for (path, error, field, message, accepted) in [
            (".", "unknown field `owner`, expected `replicas` at line 1 column 9", "owner", "is not known", "replicas"),
            ("owner", "unknown field `owner`, expected one of `a`, `b`", "owner", "is not known", "a, b"),
            ("resources.?", "unknown field `x`, expected one of `a`, `b`", "resources.x", "is not known", "a, b"),
            ("resources", "missing field `cpu`", "resources.cpu", "is missing", "a value"),
            (".", "duplicate field `name`", "name", "is there twice, or under two names", "one value"),
            (
                "port",
                "invalid value: integer `-1`, expected u16",
                "port",
                "invalid value: integer `-1`",
                "a whole number, 0 or more",
            ),
            (
                "command[1]",
                "invalid type: integer `1`, expected a string",
                "command[1]",
                "invalid type: integer `1`",
                "text",
            ),
            (".", "invalid type: null, expected struct ScaleRequest", "body", "invalid type: null", "an object"),
            (
                "runtime",
                "unknown variant `vm`, expected `docker` or `process`",
                "runtime",
                "unknown variant `vm`",
                "docker or process",
            ),
        ] {
            let found = field_error(path, error);
            assert_eq!(
                (found.field.as_str(), found.message.as_str(), found.accepted.as_str()),
                (field, message, accepted)
            );
        }
    }

    #[test]
    fn an_error_is_never_as_large_as_the_attack() {
        let huge = format!("invalid type: string \"{}\", expected u32", "A".repeat(1_000_000));
        assert!(field_error("replicas", &huge).message.len() < 1_000);
        assert!(field_error(&"a".repeat(1_000_000), "invalid type: null, expected u32").field.len() < 1_000);
        let huge = format!("unknown field `{}`, expected `a`", "A".repeat(1_000_000));
        assert!(field_error(".", &huge).field.len() < 1_000);
    }
}
