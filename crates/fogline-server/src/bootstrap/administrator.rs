//! The first administrator, so that somebody can log in to a new cluster.
//!
//! Invariant: made only while there is no user at all, and there is no password that everybody knows: it was given, or
//! it is random and handed back once, to be printed. Never logged. Tests: `tests/it/writer.rs`.

use fogline_core::command::{Command, Request};
use fogline_core::record::{Role, Tier};
use secrecy::{ExposeSecret, SecretString};

use crate::auth::{HashError, MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, hash_password, hex, random_bytes};
use crate::writer::{Desk, WriteError};

/// The first administrator's name.
const USERNAME: &str = "admin";

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdministratorError {
    #[error(
        "the password given for the first administrator has {0} bytes: give one of {MIN_PASSWORD_BYTES} to \
         {MAX_PASSWORD_BYTES}, or none to have one made"
    )]
    Length(usize),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("the first administrator cannot be saved: {0}")]
    Write(#[from] WriteError),
}

/// Makes the first administrator if there is no user. Returns the password if it had to be made up.
pub(crate) async fn ensure_administrator(
    desk: &Desk,
    given: Option<&SecretString>,
) -> Result<Option<SecretString>, AdministratorError> {
    if desk.view(|cluster, _| cluster.users().next().is_some()).await? {
        return Ok(None);
    }
    let generated = match given {
        Some(_) => None,
        None => Some(SecretString::from(hex(&random_bytes::<12>()))),
    };
    let Some(password) = given.or(generated.as_ref()) else { return Ok(None) };
    let length = password.expose_secret().len();
    if !(MIN_PASSWORD_BYTES..=MAX_PASSWORD_BYTES).contains(&length) {
        return Err(AdministratorError::Length(length));
    }
    let command = Command::CreateUser {
        username: USERNAME.to_owned(),
        password_hash: hash_password(password)?,
        role: Role::Admin,
        tier: Tier::Enterprise,
    };
    desk.submit(Request::system(command)).await?;
    tracing::info!("Created the first administrator, {USERNAME}");
    Ok(generated)
}
