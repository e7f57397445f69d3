//! Where a metric of the policy's own comes from.
//!
//! Invariant: of a policy that was checked, [`MetricSpec::question`] always says something, and nothing that its kind of
//! source does not know was written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;

/// The kinds of servers that can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A Prometheus server, or anything with its HTTP API.
    Prometheus,
    /// A JSON document over HTTP.
    HttpJson,
    /// A query to PostgreSQL.
    Postgresql,
    /// The length of a list or a stream in Redis.
    Redis,
}

impl SourceKind {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::HttpJson, Self::Postgresql, Self::Redis];

    /// The name, as settings and policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::HttpJson => "http_json",
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
        }
    }
}

/// Of several series of one answer, which number counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// A metric source: one number, asked for again and again. The server to ask is a `connection`, which an administrator
/// has set up under that name with its credentials, or a plain `url` without any.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricSpec {
    /// What kind of server it is.
    pub source: SourceKind,
    /// The server's name in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The server's address, where it is no `connection`; a Prometheus server may be left out where the settings have
    /// one for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// PromQL, or SQL that gives one number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// With Prometheus: ask for everything of this long up to now, so that a rule's `duration` has no gap after we were
    /// away. 10 s to 1 day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Span>,
    /// With Prometheus: what to make of several series. Without it they are an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
    /// With JSON: where the number is, as a JSON pointer (RFC 6901) such as `/queue/0/length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// With Redis: which list or stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How often it is asked, 1 s to 1 h.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// How long an answer may take, 100 ms to 60 s.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

const fn default_interval() -> Span {
    Span::seconds(15)
}

const fn default_timeout() -> Span {
    Span::seconds(5)
}

/// Which server a question goes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Server<'a> {
    /// One that an administrator has set up.
    Connection(&'a str),
    /// One that the policy names, without credentials.
    Url(&'a str),
    /// The Prometheus server of the settings.
    Default,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "as the fields of `MetricSpec`")]
pub enum Question<'a> {
    Prometheus { query: &'a str, range: Option<Duration>, aggregate: Option<Aggregate> },
    HttpJson { pointer: &'a str },
    Postgresql { query: &'a str },
    Redis { key: &'a str },
}

impl MetricSpec {
    /// A question of this kind with nothing said yet.
    #[must_use]
    pub const fn new(source: SourceKind) -> Self {
        Self {
            source,
            connection: None,
            url: None,
            query: None,
            range: None,
            aggregate: None,
            pointer: None,
            key: None,
            interval: default_interval(),
            timeout: default_timeout(),
        }
    }

    /// Whom to ask.
    #[must_use]
    pub fn server(&self) -> Server<'_> {
        match (&self.connection, &self.url) {
            (Some(name), _) => Server::Connection(name),
            (None, Some(url)) => Server::Url(url),
            (None, None) => Server::Default,
        }
    }

    /// What to ask; nothing where what its kind needs is missing.
    #[must_use]
    pub fn question(&self) -> Option<Question<'_>> {
        Some(match self.source {
            SourceKind::Prometheus => Question::Prometheus {
                query: self.query.as_deref()?,
                range: self.range.map(|range| range.0),
                aggregate: self.aggregate,
            },
            SourceKind::HttpJson => Question::HttpJson { pointer: self.pointer.as_deref().unwrap_or_default() },
            SourceKind::Postgresql => Question::Postgresql { query: self.query.as_deref()? },
            SourceKind::Redis => Question::Redis { key: self.key.as_deref()? },
        })
    }
}
