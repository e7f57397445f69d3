//! Which server and database, as a URL says it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

use crate::config::BadUrl;

/// A PostgreSQL database and how to log in there. Never shown with its password.
#[derive(Clone)]
pub struct PostgresConfig {
    /// Only to tell two of them apart.
    url: Arc<str>,
    pub(super) options: Arc<PgConnectOptions>,
}

impl PostgresConfig {
    pub(crate) fn from_url(url: &str) -> Result<Self, BadUrl> {
        match PgConnectOptions::from_str(url) {
            Ok(options) => Ok(Self { url: url.into(), options: options.into() }),
            Err(error) => Err(BadUrl { detail: error.to_string() }),
        }
    }

    /// `HOST:PORT/DATABASE as USER`, for people.
    pub(crate) fn place(&self) -> String {
        let options = &self.options;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let user = options.get_username();
        match options.get_socket() {
            Some(socket) => format!("{}/{database} as {user}", socket.display()),
            None => format!("{}:{}/{database} as {user}", options.get_host(), options.get_port()),
        }
    }
}

impl PartialEq for PostgresConfig {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for PostgresConfig {}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresConfig({})", self.place())
    }
}
