//! What may be said of a metric source, and of the address that a change of the count is posted to.
//!
//! Of each kind of source: what it needs, and what means nothing to it. Invariant: no address in a policy carries
//! credentials, since every reader of the policy would see them, nor names a server twice, which one check would read
//! one way and a driver the other. Whether an address may be reached at all is asked where it is, each time. Tests:
//! `tests/it/scaling/sources.rs`.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::validate::Check;
use super::{MetricSpec, PolicySpec, SourceKind};

const MAX_URL_CHARS: usize = 2_000;
const MAX_QUERY_CHARS: usize = 10_000;
/// What is accepted where no url is.
const SET_UP: &str = "connection: the name of one in the settings";
const SECOND: Duration = Duration::from_secs(1);

/// Checks all metrics of the policy's own.
pub(super) fn metrics(check: &mut Check, spec: &PolicySpec) {
    for (name, metric) in &spec.metrics {
        check.metric("metrics", name);
        let at = |part: &str| format!("metrics.{name}.{part}");
        server(check, &at, metric);
        parts(check, &at, metric);
        check.duration(&at("interval"), metric.interval.0, SECOND..=3_600 * SECOND, "1 s to 1 h");
        check.duration(&at("timeout"), metric.timeout.0, SECOND / 10..=60 * SECOND, "100 ms to 60 s");
    }
}

/// Checks where changes of the count are posted to.
pub(super) fn callback(check: &mut Check, spec: &PolicySpec) {
    let Some(url) = &spec.callback_url else { return };
    check.that(
        spec.target_type != "deployment",
        "callback_url",
        || "is set, but a deployment is scaled directly".to_owned(),
        "a target of another type, or none",
    );
    address(check, "callback_url", url, &["http", "https"], &[]);
}

fn server(check: &mut Check, at: &dyn Fn(&str) -> String, metric: &MetricSpec) {
    match (&metric.url, metric.source) {
        (None, _) => {}
        (Some(url), SourceKind::Prometheus | SourceKind::HttpJson) => {
            address(check, &at("url"), url, &["http", "https"], &[]);
        }
        (Some(url), SourceKind::Redis) => address(check, &at("url"), url, &["redis", "rediss"], &["db"]),
        (Some(_), SourceKind::Postgresql) => check.that(
            false,
            &at("url"),
            || "is set, but PostgreSQL is asked only where an administrator has set it up".to_owned(),
            SET_UP,
        ),
    }
    if let Some(name) = &metric.connection {
        let fits = (1..=100).contains(&name.chars().count())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let accepted = "the name of a connection in the settings";
        check.that(fits, &at("connection"), || format!("{name:?} is no name of a connection"), accepted);
    }
    check.that(
        metric.url.is_none() || metric.connection.is_none(),
        &at("url"),
        || "is set, and so is connection".to_owned(),
        "one of the two",
    );
    check.that(
        metric.url.is_some() || metric.connection.is_some() || metric.source == SourceKind::Prometheus,
        &at("connection"),
        || format!("is missing, and so is url: nothing says which {} server to ask", metric.source.as_str()),
        if metric.source == SourceKind::Postgresql {
            SET_UP
        } else {
            "connection: the name of one in the settings, or url"
        },
    );
}

/// What is asked: what the kind needs, what it knows, and nothing else.
fn parts(check: &mut Check, at: &dyn Fn(&str) -> String, metric: &MetricSpec) {
    use SourceKind::{HttpJson, Postgresql, Prometheus, Redis};
    let kind = metric.source;
    let given = [
        ("query", metric.query.is_some(), &[Prometheus, Postgresql][..]),
        ("range", metric.range.is_some(), &[Prometheus]),
        ("aggregate", metric.aggregate.is_some(), &[Prometheus]),
        ("pointer", metric.pointer.is_some(), &[HttpJson]),
        ("key", metric.key.is_some(), &[Redis]),
    ];
    for (part, is_given, kinds) in given {
        let known = !is_given || kinds.contains(&kind);
        check.that(known, &at(part), || format!("means nothing to a source {}", kind.as_str()), "none");
    }
    let needed = match kind {
        Prometheus => Some(("query", &metric.query, "PromQL, such as sum(rate(requests_total[1m]))")),
        Postgresql => Some(("query", &metric.query, "SQL that gives one number, such as SELECT count(*) FROM jobs")),
        Redis => Some(("key", &metric.key, "the name of a list or a stream")),
        HttpJson => None,
    };
    if let Some((part, value, accepted)) = needed {
        check.that(value.is_some(), &at(part), || "is missing".to_owned(), accepted);
    }
    for (part, value, most) in [("query", &metric.query, MAX_QUERY_CHARS), ("key", &metric.key, 500)] {
        let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= most && !text.contains('\0');
        let accepted = format!("1 to {most} characters");
        check.that(value.as_ref().is_none_or(fits), &at(part), || "is empty or too long".to_owned(), &accepted);
    }
    let pointer = metric.pointer.as_deref().unwrap_or_default();
    check.that(
        is_pointer(pointer),
        &at("pointer"),
        || format!("{pointer:?} is no JSON pointer"),
        "as in RFC 6901: /queue/0/length, ~1 for / and ~0 for ~ in a name",
    );
    if let Some(range) = metric.range {
        check.duration(&at("range"), range.0, 10 * SECOND..=86_400 * SECOND, "10 s to 1 day");
    }
}

fn is_pointer(text: &str) -> bool {
    let rest_is_escaped = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && rest_is_escaped && text.chars().count() <= 500
}

fn address(check: &mut Check, field: &str, url: &str, schemes: &[&str], parameters: &[&str]) {
    let accepted = format!("{}://host:port/path, without user and password", schemes.join(":// or "));
    let fault = fault_of(url, schemes, parameters);
    check.that(fault.is_none(), field, || fault.unwrap_or_default(), &accepted);
}

/// What is wrong with an address. Narrower than the standard: what two readers could take for two servers is refused.
fn fault_of(url: &str, schemes: &[&str], parameters: &[&str]) -> Option<String> {
    let is_plain = url.chars().count() <= MAX_URL_CHARS && url.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if !is_plain {
        let what =
            "is no address: it is longer than 2000 characters, or has a space, a backslash or letters beyond ASCII";
        return Some(what.to_owned());
    }
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| schemes.contains(scheme)) else {
        return Some(format!("does not begin with {}://", schemes.join(":// or ")));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Some(
            "holds credentials, which everybody sees who sees the policy: put them into a connection".to_owned(),
        );
    }
    if path.contains('#') {
        return Some("has a fragment (#), which no server is ever told".to_owned());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => literal.split_once(']').unwrap_or_default(),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let named = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    let is_host = if authority.starts_with('[') { host.parse::<Ipv6Addr>().is_ok() } else { named };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0));
    if !is_host || !is_port {
        return Some(format!("{authority:?} is no host and port"));
    }
    // HTTP asks what it likes; another driver takes settings from there.
    let query = path.split_once('?').map_or("", |(_, query)| query).split('&').filter(|_| !scheme.starts_with("http"));
    let mut names =
        query.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name)).filter(|name| !name.is_empty());
    let unknown = names.find(|name| !parameters.contains(name))?;
    Some(format!("has the parameter {unknown:?}: what a server needs beside its address belongs into a connection"))
}
