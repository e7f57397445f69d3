//! Whether a question can be asked at all.
//!
//! Core has checked that a question has the parts of its kind; here is what only the settings know, and what URLs may
//! name.

use fogline_core::scaling::policy::{MetricSpec, Server, SourceKind};
use fogline_core::spec::FieldError;

use crate::place::Places;
use crate::redis;

/// Schemes of plain URLs.
const fn schemes(kind: SourceKind) -> &'static [&'static str] {
    match kind {
        SourceKind::Prometheus | SourceKind::HttpJson => &["http", "https"],
        SourceKind::Redis => &["redis", "rediss"],
        SourceKind::Postgresql => &[],
    }
}

/// See [`crate::Sources::check`].
pub(crate) fn check(places: &Places, spec: &MetricSpec) -> Result<(), FieldError> {
    match spec.server() {
        Server::Connection(name) => connection(places, spec, name),
        Server::Url(_) if spec.source == SourceKind::Postgresql => Err(FieldError::new(
            "url",
            "is given, but PostgreSQL is asked only where an administrator has set it up",
            "connection: the name of one in the server's settings",
        )),
        Server::Url(url) => plain(places, url, spec.source),
        Server::Default if spec.source != SourceKind::Prometheus => {
            Err(FieldError::new("connection", "is missing", "a connection of the server's settings, or a url"))
        }
        Server::Default if !places.has_default() => Err(FieldError::new(
            "connection",
            "is missing, and the settings have no prometheus_url",
            "a connection of the server's settings, or a url",
        )),
        Server::Default => Ok(()),
    }
}

fn plain(places: &Places, url: &str, kind: SourceKind) -> Result<(), FieldError> {
    let checked = places.guard().check_url(url, schemes(kind)).and_then(|url| match kind {
        SourceKind::Redis => redis::database(&url).map(drop),
        SourceKind::Prometheus | SourceKind::HttpJson | SourceKind::Postgresql => Ok(()),
    });
    checked.map_err(|reason| {
        let schemes = schemes(kind).join(":// or ");
        FieldError::new("url", reason, format!("a URL with {schemes}:// of a public host, without user and password"))
    })
}

fn connection(places: &Places, spec: &MetricSpec, name: &str) -> Result<(), FieldError> {
    let kind = spec.source;
    match places.kind_of(name) {
        Some(found) if found == kind => match places.postgres(spec) {
            // What is asked there is the administrator's choice, too.
            Ok(server) => spec.query.as_deref().map_or(Ok(()), |query| server.sql(query).map(drop)),
            Err(_) => Ok(()),
        },
        Some(found) => Err(FieldError::new(
            "connection",
            format!("{name:?} is {}, and the source is {}", found.as_str(), kind.as_str()),
            format!("a connection of the kind {}", kind.as_str()),
        )),
        None => Err(FieldError::new(
            "connection",
            format!("{name:?} is not in the server's settings"),
            "a name below metric_connections there",
        )),
    }
}
