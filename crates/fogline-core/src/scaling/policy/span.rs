//! Lengths of time in policies: `"5m"`, `"1h30m"`, `"90s"`, `"500ms"`, or a number of seconds.
//!
//! Written back as text. Invariant: a length is not negative and at most 366 days, so that adding it to a time never
//! overflows. Tests: below.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest length that a policy may name.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const UNITS: [(&str, u64); 5] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
const ACCEPTED: &str =
    "a length of time such as \"90s\", \"5m\" or \"1h30m\", or a number of seconds, at most 366 days";

/// A length of time. Text such as `5m`, or a number of seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(pub Duration);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `5m`, `1h30m`, `2.5s` or plain seconds.
    ///
    /// # Errors
    /// Says what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no length of time; accepted: {ACCEPTED}");
        if let Ok(seconds) = text.trim().parse::<f64>() {
            return Self::from_seconds(seconds).ok_or_else(refused);
        }
        let mut rest = text.trim();
        let mut total = 0.0;
        if rest.is_empty() {
            return Err(refused());
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
            let count: f64 = rest[..end].parse().map_err(|_| refused())?;
            let unit = &rest[end..];
            let (name, millis) = UNITS.iter().find(|(name, _)| unit.starts_with(name)).ok_or_else(refused)?;
            total += count * *millis as f64;
            rest = &unit[name.len()..];
        }
        Self::from_seconds(total / 1_000.0).ok_or_else(refused)
    }

    fn from_seconds(seconds: f64) -> Option<Self> {
        let span = Duration::try_from_secs_f64(seconds).ok().filter(|span| *span <= LONGEST)?;
        // Thousandths are the finest that a person means; what is below them is the noise of binary fractions.
        Some(Self(Duration::from_millis((span.as_secs_f64() * 1_000.0).round() as u64)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (name, unit) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if millis >= unit {
                write!(f, "{}{name}", millis / unit)?;
                millis %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ACCEPTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
                Span::from_seconds(seconds)
                    .ok_or_else(|| E::custom(format!("{seconds} is no length of time; accepted: {ACCEPTED}")))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
                self.visit_f64(seconds as f64)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Span, E> {
                self.visit_f64(seconds as f64)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: \"5m\", \"1h30m\", or a number of seconds.",
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]
        })
    }
}

impl utoipa::PartialSchema for Span {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A length of time such as \"5m\"; a number of seconds is accepted as well."))
            .examples([serde_json::json!("5m")])
            .into()
    }
}

impl utoipa::ToSchema for Span {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for (json, millis, shown) in [
            ("\"5m\"", 300_000, "5m"),
            ("\"10m\"", 600_000, "10m"),
            ("\"1h30m\"", 5_400_000, "1h30m"),
            ("\"5m0s\"", 300_000, "5m"),
            ("\"500ms\"", 500, "500ms"),
            ("\"1d\"", 86_400_000, "1d"),
            ("\"90\"", 90_000, "1m30s"),
            ("300", 300_000, "5m"),
            ("2.5", 2_500, "2s500ms"),
            ("0", 0, "0s"),
        ] {
            let span: Span = serde_json::from_str(json).expect(json);
            assert_eq!((span.0.as_millis(), span.to_string().as_str()), (millis, shown), "{json}");
            assert_eq!(Span::parse(&span.to_string()), Ok(span), "{json}");
        }
    }

    #[test]
    fn what_is_refused_says_what_would_do() {
        for json in [
            "\"soon\"",
            "\"5x\"",
            "\"\"",
            "\"m\"",
            "\"5m30\"",
            "-1",
            "\"-5m\"",
            "1e300",
            "\"400d\"",
            "\"NaN\"",
            "\"1.2.3s\"",
        ] {
            let error = serde_json::from_str::<Span>(json).expect_err(json).to_string();
            assert!(error.contains("length of time"), "{json}: {error}");
        }
    }
}
