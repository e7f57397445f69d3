//! The logins of the person at this machine, one a server, in a file that only they can read.
//!
//! Decides where the file is and when an access token is fetched anew. Invariants: the file is 0600 and replaced whole;
//! a refresh token is used by one process at a time (under a lock), because showing one twice ends the session.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fogline_api::client::Client;
use fogline_api::http::TokenResponse;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::env::{self, Environment};
use crate::exit::{Exit, Failure, Outcome};

/// Seconds before its end at which an access token is replaced.
const EARLY_S: i64 = 30;

/// A login at one server.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// Who is logged in.
    pub username: String,
    access_token: String,
    refresh_token: String,
    /// By this machine's clock, seconds since 1970.
    access_expires_at_s: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct Contents {
    /// The server that is meant when none is named.
    current: Option<String>,
    #[serde(default)]
    logins: BTreeMap<String, Login>,
}

/// The file.
#[derive(Clone, Debug)]
pub struct Credentials {
    path: PathBuf,
}

impl Credentials {
    /// The file of this environment: `FOGLINE_CREDENTIALS`, else in the user's settings.
    ///
    /// # Errors
    /// When there is no home to put it in.
    pub fn locate(environment: &Environment) -> Outcome<Self> {
        let own = environment.get("CREDENTIALS").map(PathBuf::from);
        let in_home = || environment.config_home.as_ref().map(|home| home.join("fogline/credentials.json"));
        own.or_else(in_home).map(|path| Self { path }).ok_or_else(|| {
            Failure::general("there is no place for credentials: neither HOME nor XDG_CONFIG_HOME is set")
                .hint("set FOGLINE_CREDENTIALS to a file, or FOGLINE_TOKEN to an access token")
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server of the newest login.
    pub fn current_server(&self) -> Outcome<Option<String>> {
        Ok(self.read()?.current)
    }

    /// An access token for `client`'s server that is good for a while; fetched anew where it is not.
    ///
    /// # Errors
    /// When there is no login, or it has ended.
    pub async fn access_token(&self, client: &Client) -> Outcome<String> {
        let server = client.server();
        let login = self.read()?.logins.remove(server).ok_or_else(|| not_logged_in(server))?;
        if is_fresh(&login) {
            return Ok(login.access_token);
        }
        let lock = self.lock().await?;
        // Another process may have fetched it while this one waited for the lock.
        let login = self.read()?.logins.remove(server).ok_or_else(|| not_logged_in(server))?;
        if is_fresh(&login) {
            return Ok(login.access_token);
        }
        let tokens = client.refresh(&login.refresh_token).await?;
        let token = tokens.access_token.clone();
        self.put(server, &login.username, tokens)?;
        drop(lock);
        Ok(token)
    }

    /// Keeps a new login and makes its server the current one.
    pub async fn save(&self, server: &str, username: &str, tokens: TokenResponse) -> Outcome {
        let _lock = self.lock().await?;
        self.put(server, username, tokens)
    }

    /// Forgets a login; false when there was none.
    pub async fn forget(&self, server: &str) -> Outcome<bool> {
        let _lock = self.lock().await?;
        let mut contents = self.read()?;
        let was_there = contents.logins.remove(server).is_some();
        if contents.current.as_deref() == Some(server) {
            contents.current = contents.logins.keys().next().cloned();
        }
        if was_there {
            self.write(&contents)?;
        }
        Ok(was_there)
    }

    fn put(&self, server: &str, username: &str, tokens: TokenResponse) -> Outcome {
        let mut contents = self.read()?;
        let lifetime_s = i64::try_from(tokens.expires_in).unwrap_or(i64::MAX / 2);
        let login = Login {
            username: username.to_owned(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            access_expires_at_s: now_s() + lifetime_s,
        };
        contents.logins.insert(server.to_owned(), login);
        contents.current = Some(server.to_owned());
        self.write(&contents)
    }

    fn read(&self) -> Outcome<Contents> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure::general(format!("the credentials in {} are damaged", self.path.display()))
                    .because(error)
                    .hint("remove the file and run `fogline login`")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Contents::default()),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    fn write(&self, contents: &Contents) -> Outcome {
        let failed = |error| self.failed("write", error);
        let bytes = serde_json::to_vec_pretty(contents).expect("text keys and plain values serialise");
        let dir = self.make_dir()?;
        let mut file = tempfile::Builder::new()
            .prefix(".credentials-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .tempfile_in(dir)
            .map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn make_dir(&self) -> Outcome<&Path> {
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| self.failed("write", error))?;
        Ok(dir)
    }

    /// Waits until no other process changes the file.
    async fn lock(&self) -> Outcome<File> {
        self.make_dir()?;
        let path = self.path.with_extension("lock");
        let failed = |error: std::io::Error| self.failed("lock", error);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(failed)?;
        tokio::task::spawn_blocking(move || rustix::fs::flock(&file, FlockOperation::LockExclusive).map(|()| file))
            .await
            .map_err(|_| Failure::general("interrupted while waiting for the credentials"))?
            .map_err(|error| failed(error.into()))
    }

    fn failed(&self, verb: &str, error: std::io::Error) -> Failure {
        Failure::general(format!("cannot {verb} the credentials in {}", self.path.display())).because(error)
    }
}

fn now_s() -> i64 {
    env::now_micros() / 1_000_000
}

fn is_fresh(login: &Login) -> bool {
    login.access_expires_at_s - EARLY_S > now_s()
}

fn not_logged_in(server: &str) -> Failure {
    Failure::new(Exit::Unauthenticated, format!("not logged in at {server}"))
        .hint(format!("run `fogline login --server {server}`, or set FOGLINE_TOKEN"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn tokens(access: &str) -> TokenResponse {
        TokenResponse {
            access_token: access.to_owned(),
            token_type: "bearer".to_owned(),
            expires_in: 900,
            refresh_token: "r".to_owned(),
            refresh_expires_in: 9_000,
        }
    }

    #[tokio::test]
    async fn logins_are_kept_apart_and_only_for_their_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let credentials = Credentials { path: dir.path().join("sub/credentials.json") };
        credentials.save("http://a", "ann", tokens("one")).await.expect("saved");
        credentials.save("http://b:1", "ben", tokens("two")).await.expect("saved");
        assert_eq!(credentials.current_server().expect("read"), Some("http://b:1".to_owned()));
        let client = Client::new("http://a").expect("an address");
        assert_eq!(credentials.access_token(&client).await.expect("fresh"), "one");
        assert_eq!(fs::metadata(credentials.path()).expect("there").permissions().mode() & 0o777, 0o600);

        assert!(credentials.forget("http://b:1").await.expect("forgotten"));
        assert!(!credentials.forget("http://b:1").await.expect("nothing left"));
        assert_eq!(credentials.current_server().expect("read"), Some("http://a".to_owned()));
        let other = Client::new("http://b:1").expect("an address");
        let failure = credentials.access_token(&other).await.expect_err("no login");
        assert_eq!(failure.exit, Exit::Unauthenticated);
    }

    #[test]
    fn damage_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("credentials.json");
        fs::write(&path, "{").expect("written");
        let failure = Credentials { path }.current_server().expect_err("damaged").to_string();
        assert!(failure.contains("damaged") && failure.contains("fogline login"), "{failure}");
    }
}
