//! Credentials for registries, from a file in the format of Docker's `config.json`.
//!
//! Read at each pull, so that a changed password counts at once and none is kept in memory longer than it is needed.
//! Must never show a secret: not in an error, a log or a debug print. Invariants: what is found is only for the registry
//! that was asked for; a file that others could read is refused, because they have read it. Programs that would hand out
//! credentials are refused too: the agent runs nothing for a file. Tests: below, and `tests/it/driver`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// The largest file that is read.
const MOST_BYTES: u64 = 1_024 * 1_024;
const HUB: &str = "docker.io";

/// A name and a password for one registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    registry: String,
    username: String,
    password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(hidden, for {})", self.registry)
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credsStore")]
    creds_store: String,
    #[serde(default, rename = "credHelpers")]
    cred_helpers: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Credentials {
    /// Those for `registry`; nothing where the file has none for it.
    ///
    /// # Errors
    /// Why the file cannot be used, and what would do.
    pub fn find(path: &Path, registry: &str) -> Result<Option<Self>, String> {
        let file = read(path)?;
        let shown = path.display();
        if !file.creds_store.is_empty() || !file.cred_helpers.is_empty() {
            return Err(format!(
                "{shown} names a program that keeps credentials (credsStore or credHelpers), and the agent runs none: \
                 write them into `auths` as auth, or as username and password"
            ));
        }
        let Some((_, entry)) = file.auths.into_iter().find(|(key, _)| host_of(key) == host_of(registry)) else {
            return Ok(None);
        };
        let (username, password) = match entry {
            Entry { auth, username, password } if auth.is_empty() => (username, password),
            Entry { auth, .. } => {
                let bytes = STANDARD.decode(auth.trim()).unwrap_or_default();
                let text = String::from_utf8(bytes).unwrap_or_default();
                let (username, password) = text.split_once(':').unwrap_or_default();
                (username.to_owned(), password.trim_end_matches('\0').to_owned())
            }
        };
        if username.is_empty() || password.is_empty() {
            return Err(format!(
                "{shown} has an entry for {registry} that is no name and password: write `auth` as base64 of \
                 name:password, or username and password"
            ));
        }
        let found = Self { registry: registry.to_owned(), username, password };
        if found.can_be_sent() { Ok(Some(found)) } else { Err(found.unsendable(path)) }
    }

    /// For the engine, which passes them on to that registry.
    pub fn for_engine(&self) -> DockerCredentials {
        DockerCredentials {
            username: Some(self.username.clone()),
            password: Some(self.password.clone()),
            serveraddress: Some(self.registry.clone()),
            ..DockerCredentials::default()
        }
    }

    /// A sentence of somebody else's, without what is secret in it.
    pub fn redact(&self, text: &str) -> String {
        let pair = STANDARD.encode(format!("{}:{}", self.username, self.password));
        [self.password.as_str(), &pair].into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// The client library puts them into a header in the alphabet of base64 that engines do not read; both are the same
    /// but for two letters. Engines take a header that they cannot read for none.
    fn can_be_sent(&self) -> bool {
        serde_json::to_string(&self.for_engine()).is_ok_and(|text| STANDARD.encode(&text) == URL_SAFE.encode(&text))
    }

    fn unsendable(&self, path: &Path) -> String {
        format!(
            "the password for {} in {} has a character that cannot be passed on to the engine (one of ? > ~ or beyond \
             ASCII, at an unlucky place): use another password or an access token",
            self.registry,
            path.display()
        )
    }
}

/// What is checked when the agent starts, so that a mistake shows before the first pull.
///
/// # Errors
/// As [`Credentials::find`].
pub(super) fn check(path: &Path) -> Result<(), String> {
    Credentials::find(path, "").map(|_| ())
}

fn read(path: &Path) -> Result<File, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| {
        format!("cannot read {shown}, which holds the credentials for registries (setting `registry_auth`): {error}")
    };
    let file = fs::File::open(path).map_err(cannot)?;
    // Of the file that was opened, not of whatever is there by its name.
    let mode = file.metadata().map_err(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{shown} holds passwords and others may read or write it (mode {:03o}): chmod 600 {shown}",
            mode & 0o777
        ));
    }
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text).map_err(cannot)?;
    // What the parser says may quote the file.
    serde_json::from_slice(&text).map_err(|error| {
        format!("{shown} is no config.json of Docker: it breaks off or has the wrong form in line {}", error.line())
    })
}

/// Keys of the file are addresses, or URLs.
fn host_of(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match key.split('/').next().unwrap_or(key) {
        "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const SECRET: &str = "s3cret-canary";

    fn file(dir: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = dir.path().join("config.json");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        path
    }

    fn auth() -> String {
        STANDARD.encode(format!("me:{SECRET}"))
    }

    #[test]
    fn each_registry_gets_its_own_and_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = file(
            &dir,
            &format!(
                r#"{{"auths": {{
                    "https://index.docker.io/v1/": {{"auth": "{}"}},
                    "localhost:5000": {{"username": "other", "password": "p:w"}},
                    "https://r.example/v2/": {{"auth": "{}"}}
                }}, "HttpHeaders": {{"x": "y"}}}}"#,
                auth(),
                auth()
            ),
        );
        let find = |registry| Credentials::find(&path, registry).expect("readable");
        let pair = |found: Option<Credentials>| found.map(|found| (found.username, found.password));
        let me = Some(("me".to_owned(), SECRET.to_owned()));
        assert_eq!((pair(find("docker.io")), pair(find("r.example"))), (me.clone(), me));
        assert_eq!(pair(find("localhost:5000")), Some(("other".to_owned(), "p:w".to_owned())));
        for other in
            ["localhost", "localhost:5001", "example", "r.example.evil", "evil/r.example", "docker.io.evil", ""]
        {
            assert_eq!(find(other), None, "{other}");
        }
        let sent = find("r.example").expect("there").for_engine();
        assert_eq!(sent.serveraddress.as_deref(), Some("r.example"));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_a_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let with = |entry: &str| format!(r#"{{"auths": {{"r": {entry}}}}}"#);
        let table = [
            (with(&format!(r#"{{"auth": "{}""#, auth())), "line"),
            (format!(r#"{{"auths": "{SECRET}"}}"#), "no config.json"),
            (with(&format!(r#"{{"password": "{SECRET}"}}"#)), "no name and password"),
            (with(&format!(r#"{{"auth": "{SECRET}"}}"#)), "no name and password"),
            (with("{}"), "no name and password"),
            (format!(r#"{{"auths": {{"r": {{"auth": "{}"}}}}, "credsStore": "pass"}}"#, auth()), "runs none"),
            (r#"{"credHelpers": {"r": "gcr"}}"#.to_owned(), "runs none"),
            (with(&format!(r#"{{"username": "a", "password": "{SECRET}???"}}"#)), "access token"),
        ];
        for (text, words) in table {
            let error = Credentials::find(&file(&dir, &text), "r").expect_err(words);
            assert!(error.contains(words) && error.contains("config.json"), "{error}");
            assert!(!error.contains(SECRET) && !error.contains(&auth()), "{error}");
        }
        let missing = Credentials::find(&dir.path().join("none"), "r").expect_err("missing");
        assert!(missing.contains("registry_auth"), "{missing}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = file(&dir, "{}");
        for mode in [0o640, 0o604, 0o666, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
            let error = check(&path).expect_err("others can read it");
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:03o}")), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("changed");
        assert_eq!(check(&path), Ok(()));
    }

    #[test]
    fn secrets_are_neither_printed_nor_passed_on() {
        let found = Credentials { registry: "r".to_owned(), username: "me".to_owned(), password: SECRET.to_owned() };
        assert!(!format!("{found:?}").contains(SECRET));
        let said = found.redact(&format!("GET https://me:{SECRET}@r/v2: Basic {}: denied", auth()));
        assert!(!said.contains(SECRET) && !said.contains(&auth()) && said.contains("denied"), "{said}");
    }
}
