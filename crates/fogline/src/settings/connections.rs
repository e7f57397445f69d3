//! Servers that metrics come from: `[metric_connections.NAME]` in the settings file, one table each.
//!
//! Their names are the administrator's, so they have no line in the table of settings, no variable and no flag. Must never
//! hold a password or token: those are in files of their own, which are named here. Whether a server can be asked as it
//! is set up is found when the server starts. Tests: below.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fogline_core::scaling::policy::SourceKind;
use fogline_source::{Connection, Credentials};

use super::closest;

/// What the keys of all connections begin with.
const TABLE: &str = "metric_connections.";
/// The keys of one connection.
const KEYS: [&str; 7] = ["kind", "url", "bearer_token_file", "username", "password_file", "ca_file", "allow_sql"];
/// The table of a connection that has SQL by name.
const QUERIES: &str = "queries";

/// The connections of a file.
#[derive(Clone, Default, Debug)]
pub struct Connections {
    /// By the name that policies use.
    pub found: BTreeMap<String, Connection>,
    /// Each value as it is written, by its dotted key.
    pub written: BTreeMap<String, String>,
}

impl Connections {
    /// Whether a key of the file is one of a connection.
    pub fn owns(key: &str) -> bool {
        key.starts_with(TABLE)
    }

    /// From the values of a file, by dotted key. What cannot be goes to `problems`.
    pub fn of(written: BTreeMap<String, String>, path: &Path, problems: &mut Vec<String>) -> Self {
        let mut tables: BTreeMap<&str, Table<'_>> = BTreeMap::new();
        for (key, value) in &written {
            let within = key.strip_prefix(TABLE).unwrap_or(key);
            let (name, field) = within.rsplit_once('.').unwrap_or((within, ""));
            let table = name.rsplit_once('.');
            if let Some((name, _)) = table.filter(|(_, table)| *table == QUERIES) {
                tables.entry(name).or_default().queries.insert(field, value);
            } else if KEYS.contains(&field) {
                tables.entry(name).or_default().fields.insert(field, value);
            } else {
                let near = if field.is_empty() { None } else { closest(field, KEYS.into_iter().chain([QUERIES])) };
                let meant = near.map(|meant| format!("; did you mean {meant}?"));
                let accepted = format!("; accepted: {}, {QUERIES}.NAME", KEYS.join(", "));
                problems.push(format!(
                    "{key} (file {}): is no setting of a connection{}",
                    path.display(),
                    meant.unwrap_or(accepted)
                ));
            }
        }
        let mut found = BTreeMap::new();
        for (name, table) in tables {
            match connection(name, &table) {
                Ok(connection) => drop(found.insert(name.to_owned(), connection)),
                Err(reason) => problems.push(format!("{TABLE}{name} (file {}): {reason}", path.display())),
            }
        }
        Self { found, written }
    }
}

/// What is written of one connection.
#[derive(Default)]
struct Table<'a> {
    fields: BTreeMap<&'a str, &'a str>,
    queries: BTreeMap<&'a str, &'a str>,
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn connection(name: &str, Table { fields, queries }: &Table<'_>) -> Result<Connection, String> {
    const NAMES: &str = "1 to 100 letters, digits, - and _";
    if !is_name(name) {
        return Err(format!("is no name; accepted: {NAMES}"));
    }
    if let Some(query) = queries.keys().find(|query| !is_name(query)) {
        return Err(format!("{QUERIES}.{query} is no name of a query; accepted: {NAMES}"));
    }
    let queries = queries.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())).collect();
    let allow_sql = match fields.get("allow_sql").copied() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err("allow_sql is neither true nor false".to_owned()),
    };
    let kinds = || SourceKind::ALL.map(SourceKind::as_str).join(", ");
    let kind = fields.get("kind").ok_or_else(|| format!("kind is missing; accepted: {}", kinds()))?;
    let kind = SourceKind::ALL.into_iter().find(|known| known.as_str() == *kind);
    let kind = kind.ok_or_else(|| format!("kind is none of {}", kinds()))?;
    let url = fields.get("url").ok_or("url is missing")?;
    let path = |key| fields.get(key).map(PathBuf::from);
    let username = fields.get("username").map(|&name| name.to_owned());
    let credentials = match (path("bearer_token_file"), username, path("password_file")) {
        (None, None, None) => Credentials::None,
        (Some(token_file), None, None) => Credentials::Bearer { token_file },
        (None, username, password_file) => Credentials::Password { username, password_file },
        (Some(_), _, _) => {
            return Err("bearer_token_file and a password exclude each other; accepted: one of them".to_owned());
        }
    };
    let ca_file = path("ca_file");
    Ok(Connection { credentials, ca_file, queries, allow_sql, ..Connection::new(kind, *url) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Connections, Vec<String>) {
        let values = text.lines().filter_map(|line| line.split_once(" = "));
        let written = values.map(|(key, value)| (format!("{TABLE}{key}"), value.to_owned())).collect();
        let mut problems = Vec::new();
        (Connections::of(written, Path::new("f.toml"), &mut problems), problems)
    }

    #[test]
    fn each_table_is_a_server() {
        let (connections, problems) = read(
            "prom-1.kind = prometheus\nprom-1.url = https://h:9090\nprom-1.bearer_token_file = /t\nprom-1.ca_file = /ca\n\
             db.kind = postgresql\ndb.url = postgres://h/db\ndb.username = reader\ndb.password_file = /p\n\
             db.queries.waiting = SELECT 1\ndb.allow_sql = true\n\
             Q.kind = redis\nQ.url = redis://h",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let names: Vec<&str> = connections.found.keys().map(String::as_str).collect();
        assert_eq!(names, ["Q", "db", "prom-1"]);
        let Connection { kind, url, credentials, ca_file, queries, allow_sql } = &connections.found["prom-1"];
        assert!(queries.is_empty() && !allow_sql);
        assert_eq!((*kind, url.as_str()), (SourceKind::Prometheus, "https://h:9090"));
        assert_eq!(*credentials, Credentials::Bearer { token_file: "/t".into() });
        assert_eq!(*ca_file, Some("/ca".into()));
        let password = Credentials::Password { username: Some("reader".to_owned()), password_file: Some("/p".into()) };
        let db = &connections.found["db"];
        assert_eq!((&db.credentials, db.allow_sql), (&password, true));
        assert_eq!(db.queries, [("waiting".to_owned(), "SELECT 1".to_owned())].into());
        assert_eq!(connections.found["Q"], Connection::new(SourceKind::Redis, "redis://h"));
    }

    #[test]
    fn what_cannot_be_is_told_by_its_name() {
        for (text, said) in [
            ("a.url = http://h", "metric_connections.a (file f.toml): kind is missing"),
            ("a.kind = mysql\na.url = x", "kind is none of prometheus, http_json"),
            ("a.kind = redis", "url is missing"),
            ("a.kind = redis\na.url = redis://h\na.pasword_file = /p", "did you mean password_file?"),
            ("a.kind = redis\na.url = redis://h\na.password = canary", "accepted: kind, url"),
            (
                "kind = redis",
                "metric_connections.kind (file f.toml): is no setting of a connection; accepted: kind, url",
            ),
            ("a.kind = postgresql\na.url = x\na.allow_sql = yes", "allow_sql is neither true nor false"),
            ("a.kind = postgresql\na.url = x\na.queries.b c = SELECT 1", "queries.b c is no name of a query"),
            ("a.kind = postgresql\na.url = x\na.query.b = SELECT 1", "metric_connections.a.query.b"),
            ("a b.kind = redis\na b.url = redis://h", "is no name"),
            ("a.b.kind = redis\na.b.url = redis://h", "is no name"),
            (
                "a.kind = prometheus\na.url = http://h\na.username = u\na.password_file = /p\na.bearer_token_file = /t",
                "exclude each other",
            ),
        ] {
            let (_, problems) = read(text);
            assert!(problems.iter().any(|problem| problem.contains(said)), "{text}: {problems:?}");
            assert!(!problems.concat().contains("canary"), "{problems:?}");
        }
    }
}
