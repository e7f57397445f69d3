//! Where the rows are kept.

use std::path::PathBuf;

use crate::postgres::PostgresConfig;

/// Which backend, and where. Its `Debug` never shows a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreConfig {
    /// An embedded database in one file. Its directory is made where it is missing, and locked while the store is open.
    Sqlite {
        /// The database file, such as `DATA/fogline.db`.
        file: PathBuf,
    },
    /// A PostgreSQL server that several servers share.
    Postgres(PostgresConfig),
}

/// Why a URL names no database. Never shows the URL, which may hold a password.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the database's URL is not valid: {detail}. Use postgres://USER@HOST:PORT/DATABASE, or sqlite:PATH")]
pub struct BadUrl {
    pub(crate) detail: String,
}

impl StoreConfig {
    /// SQLite in this file.
    #[must_use]
    pub fn sqlite(file: impl Into<PathBuf>) -> Self {
        Self::Sqlite { file: file.into() }
    }

    /// What a URL names: `postgres://…` or `postgresql://…` with the parameters that libpq knows, or `sqlite:PATH`.
    ///
    /// # Errors
    /// When it is neither, or has parts that cannot be understood.
    pub fn from_url(url: &str) -> Result<Self, BadUrl> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                PostgresConfig::from_url(url).map(Self::Postgres)
            }
            // With or without an authority, which a file has none of.
            Some(("sqlite", path)) => match path.strip_prefix("//").unwrap_or(path) {
                "" => Err(BadUrl { detail: "sqlite: names no file".to_owned() }),
                path => Ok(Self::sqlite(path)),
            },
            _ => Err(BadUrl { detail: "it starts with neither postgres:// nor sqlite:".to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_one_of_the_backends() {
        let sqlite = |path: &str| Ok(StoreConfig::sqlite(path));
        assert_eq!(StoreConfig::from_url("sqlite:data/fogline.db"), sqlite("data/fogline.db"));
        assert_eq!(StoreConfig::from_url("sqlite:///var/lib/fogline.db"), sqlite("/var/lib/fogline.db"));
        for url in ["postgres://ada@db.example:5433/fogline", "postgresql://ada@db.example:5433/fogline"] {
            assert!(matches!(StoreConfig::from_url(url), Ok(StoreConfig::Postgres(_))), "{url}");
        }
        for url in ["", "sqlite:", "sqlite://", "mysql://ada@db/fogline", "postgres:db", "fogline.db"] {
            let error = StoreConfig::from_url(url).expect_err(url).to_string();
            assert!(error.contains("sqlite:PATH") && error.contains("postgres://USER@HOST"), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let secret = "hunter-2-%2f";
        let good = StoreConfig::from_url(&format!("postgres://ada:{secret}@db/fogline")).expect("a database");
        let shown = format!("{good:?}");
        assert!(shown.contains("ada") && shown.contains("db") && !shown.contains("hunter"), "{shown}");
        for bad in ["port", "db:port/fogline", "db/fogline?sslmode=perhaps", "db/fogline?port=x"] {
            let error = StoreConfig::from_url(&format!("postgres://ada:{secret}@{bad}"));
            let shown = format!("{error:?} {}", error.as_ref().map_or_else(ToString::to_string, |_| String::new()));
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }
}
