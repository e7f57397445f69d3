//! From a URL to what the library connects with.
//!
//! The library begins with what the program's own environment says (`PGHOST`, `PGPASSWORD`, …), which is meant for
//! Fogline's database: a server of metrics must never get that password. Invariant: host, port, role, password, database,
//! TLS mode and authorities are all set here, and no `.pgpass` is read. What the library has no way to take back is
//! `PGOPTIONS` (ours come later and win) and `PGSSLCERT` with `PGSSLKEY`.

use std::path::Path;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// What may stand before `//HOST` in a URL.
const SCHEMES: [&str; 2] = ["postgres", "postgresql"];
const ACCEPTED: &str = "accepted: postgres://HOST:PORT/DATABASE, with username and password_file beside it, and \
                        ?sslmode=, sslrootcert=, sslcert=, sslkey= or host=/DIRECTORY of a socket";
const USUAL_PORT: u16 = 5_432;

/// `base` with everything set that matters; without a password, which is read for each question.
pub(super) fn of(
    base: PgConnectOptions,
    url: &str,
    username: &str,
    ca_file: Option<&Path>,
) -> Result<PgConnectOptions, String> {
    let parsed = Url::parse(url).map_err(|error| format!("the url is none: {error}; {ACCEPTED}"))?;
    if !SCHEMES.contains(&parsed.scheme()) {
        return Err(format!("the url has another scheme; {ACCEPTED}"));
    }
    let tells = parsed.query_pairs().any(|(key, _)| matches!(&*key, "password" | "user"));
    if !parsed.username().is_empty() || parsed.password().is_some() || tells {
        return Err(format!("the url has a user or password in it; {ACCEPTED}"));
    }
    // What is understood is not quoted: it may hold what it should not.
    let not_understood = || format!("the url has parts that are not understood; {ACCEPTED}");
    let database = decoded(parsed.path().trim_start_matches('/'));
    let database = if database.is_empty() { username } else { &database };
    let mut options = base
        .port(parsed.port().unwrap_or(USUAL_PORT))
        .username(username)
        .password("")
        .database(database)
        // The machine's authorities, and no further one.
        .ssl_root_cert_from_pem(Vec::new());
    let mut host = parsed.host_str().filter(|host| !host.is_empty()).map(decoded);
    let mut mode = None;
    for (key, value) in parsed.query_pairs() {
        match &*key {
            "sslmode" | "ssl-mode" => mode = Some(PgSslMode::from_str(&value).map_err(|_| not_understood())?),
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => options = options.ssl_root_cert(&*value),
            "sslcert" | "ssl-cert" => options = options.ssl_client_cert(&*value),
            "sslkey" | "ssl-key" => options = options.ssl_client_key(&*value),
            "host" if value.starts_with('/') => host = Some(value.into_owned()),
            _ => return Err(not_understood()),
        }
    }
    let host = host.ok_or_else(|| format!("the url names no host; {ACCEPTED}"))?;
    // A directory is where a socket is.
    options = options.host(host.trim_matches(['[', ']']));
    if let Some(path) = ca_file {
        options = options.ssl_root_cert(path);
    }
    let usual = if ca_file.is_some() { PgSslMode::VerifyFull } else { PgSslMode::Prefer };
    Ok(options
        .ssl_mode(mode.unwrap_or(usual))
        .application_name("fogline-metrics")
        .statement_cache_capacity(0)
        // Notices, which a query can fill with anything, would end in our log.
        .options([("idle_in_transaction_session_timeout", "60s"), ("jit", "off"), ("client_min_messages", "error")])
        .disable_statement_logging())
}

/// With what is written as `%XX`.
fn decoded(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-of-fogline";

    /// As the library begins where the environment is full of Fogline's own.
    fn begun() -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(CANARY)
            .port(1)
            .username(CANARY)
            .password(CANARY)
            .database(CANARY)
            .ssl_mode(PgSslMode::Disable)
            .ssl_root_cert(CANARY)
            .application_name(CANARY)
    }

    #[test]
    fn nothing_of_the_programs_own_login_is_left() {
        for url in ["postgres://db.example", "postgresql://db.example/a", "postgres:///a?host=/run/postgresql"] {
            let options = of(begun(), url, "metrics", None).expect(url);
            assert!(!format!("{options:?}").contains(CANARY), "{options:?}");
            assert_eq!((options.get_port(), options.get_username()), (5_432, "metrics"));
            assert!(matches!(options.get_ssl_mode(), PgSslMode::Prefer), "{options:?}");
        }
    }

    #[test]
    fn a_url_says_where_and_how() {
        let options = of(begun(), "postgres://[::1]:7/a%20b%2B+c?sslmode=verify-ca", "me", None).expect("a server");
        assert_eq!((options.get_host(), options.get_port()), ("::1", 7));
        assert_eq!(options.get_database(), Some("a b++c"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyCa));
        let options = of(begun(), "postgres://h", "me", Some(Path::new("/ca.pem"))).expect("a server");
        assert_eq!((options.get_host(), options.get_database()), ("h", Some("me")));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        for url in [
            "postgres://h/db?password=x",
            "postgres://h/db?user=x",
            "postgres://h/db?hostaddr=127.0.0.1",
            "postgres://h/db?host=elsewhere",
            "postgres://h/db?sslmode=maybe",
            "postgres:///db",
        ] {
            assert!(of(begun(), url, "me", None).is_err(), "{url}");
        }
    }
}
