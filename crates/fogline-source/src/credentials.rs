//! What a server asks for before it answers.
//!
//! Passwords and tokens are in files, read anew for each question, so that a changed one counts at once. Invariant: none
//! is in a `Debug`, and [`Secret::redact`] takes it out of whatever the other side says, which may echo it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// The largest file of a token or password, in bytes.
const MOST_BYTES: u64 = 64 * 1_024;

/// How to log in to a server.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// By a token in a header; HTTP only.
    Bearer {
        /// The file with the token; only its owner may read it.
        token_file: PathBuf,
    },
    /// By name and password.
    Password {
        /// The name. Redis has users without one.
        username: Option<String>,
        /// The file with the password; only its owner may read it. PostgreSQL and Redis may ask for none.
        password_file: Option<PathBuf>,
    },
}

/// What was in the files.
#[derive(Clone)]
pub(crate) enum Secret {
    None,
    Bearer(SecretString),
    Password { username: Option<String>, password: Option<SecretString> },
}

impl Credentials {
    /// Reads what is in the files.
    pub(crate) async fn read(&self) -> Result<Secret, String> {
        let credentials = self.clone();
        match self {
            Self::None => Ok(Secret::None),
            _ => {
                tokio::task::spawn_blocking(move || credentials.read_now()).await.map_err(|error| error.to_string())?
            }
        }
    }

    /// The same, for the start of the program.
    pub(crate) fn read_now(&self) -> Result<Secret, String> {
        Ok(match self {
            Self::None => Secret::None,
            Self::Bearer { token_file } => Secret::Bearer(read(token_file)?),
            Self::Password { username, password_file } => Secret::Password {
                username: username.clone(),
                password: password_file.as_deref().map(read).transpose()?,
            },
        })
    }
}

impl Secret {
    /// For the header of that name.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Bearer(token) => format!("Bearer {}", token.expose_secret()),
            Self::Password { .. } => format!("Basic {}", self.pair()),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| "the credentials have characters that no header can carry".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(crate) fn username(&self) -> Option<&str> {
        match self {
            Self::Password { username, .. } => username.as_deref(),
            Self::None | Self::Bearer(_) => None,
        }
    }

    pub(crate) fn password(&self) -> Option<&str> {
        match self {
            Self::Password { password, .. } => password.as_ref().map(ExposeSecret::expose_secret),
            Self::None | Self::Bearer(_) => None,
        }
    }

    /// A sentence of somebody else's, without what is secret in it, plain or in base64.
    pub(crate) fn redact(&self, text: &str) -> String {
        let plain = match self {
            Self::None => return text.to_owned(),
            Self::Bearer(token) => Some(token.expose_secret()),
            Self::Password { .. } => self.password(),
        };
        let Some(plain) = plain else { return text.to_owned() };
        // Nobody sends a token as one half of a pair.
        let pair = matches!(self, Self::Password { .. }).then(|| self.pair());
        let forms = [STANDARD.encode(plain), URL_SAFE.encode(plain), plain.to_owned()];
        pair.iter()
            .chain(&forms)
            .fold(text.to_owned(), |text, secret| text.replace(secret.trim_end_matches('='), "***"))
    }

    fn pair(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.username().unwrap_or_default(), self.password().unwrap_or_default()))
    }
}

fn read(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("cannot read {shown}, which holds the credentials: {error}");
    // A pipe that nobody writes to would hold the thread for ever.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{shown} should hold the credentials and is no file"));
    }
    let file = File::open(path).map_err(cannot)?;
    // Of the file that was opened, not of whatever is there by its name.
    let opened = file.metadata().map_err(cannot)?;
    let mode = opened.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{shown} holds credentials and others may read or write it (mode {:03o}): chmod 600 {shown}",
            mode & 0o777
        ));
    }
    if opened.size() > MOST_BYTES {
        return Err(format!("{shown} is larger than {} KiB, which no token or password is", MOST_BYTES / 1_024));
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(cannot)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{shown} should hold the credentials and is empty")),
        secret => Ok(SecretString::from(secret)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_out_of_every_text_in_every_form() {
        let plain = "p>?assw0rd";
        let secret = Secret::Password { username: Some("me".to_owned()), password: Some(plain.into()) };
        for form in [plain.to_owned(), STANDARD.encode(plain), URL_SAFE.encode(plain), STANDARD.encode("me:p>?assw0rd")]
        {
            let said = secret.redact(&format!("you sent {form}, and {form} is wrong"));
            assert!(said.contains("***") && !said.contains(form.trim_end_matches('=')), "{said}");
        }
        let secret = Secret::Bearer("token-1".into());
        assert_eq!(secret.redact("Bearer token-1!"), "Bearer ***!");
        assert_eq!(secret.redact("Ogres"), "Ogres");
        assert_eq!(Secret::None.redact("as it is"), "as it is");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        let credentials = Credentials::Bearer { token_file: path.clone() };
        let said = |credentials: &Credentials| credentials.read_now().err().unwrap_or_default();
        assert!(said(&credentials).contains("cannot read"));
        std::fs::write(&path, "canary\n").expect("written");
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("allowed");
        mode(0o640);
        assert!(said(&credentials).contains("chmod 600"), "{}", said(&credentials));
        mode(0o600);
        let secret = credentials.read_now().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(secret.authorization().expect("a header").expect("one"), "Bearer canary");
        assert!(!format!("{credentials:?}").contains("canary"));
        std::fs::write(&path, "\n").expect("written");
        assert!(said(&credentials).contains("is empty"));
        let pipe = Credentials::Bearer { token_file: directory.path().to_owned() };
        assert!(said(&pipe).contains("is no file"), "{}", said(&pipe));
    }
}
