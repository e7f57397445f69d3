//! Secrets in files of their own: 32 random bytes as 64 hexadecimal digits, readable by their owner alone.
//!
//! Invariant: a secret is either wholly in its file and on the disk, or the file is not there: it is never cut short by
//! a crash, and an existing one is never overwritten. Never logged. Tests: below.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::auth::{hex, random_bytes};

const DIGITS: usize = 64;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file or its directory cannot be made, read or written.
    #[error("cannot {what} {}: {source}. Check that this user may write there", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{} may be read by others than its owner (mode {mode:o}): run `chmod 600` on it, and replace the secret if \
             somebody may have seen it", .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds something else.
    #[error("{} does not hold 64 hexadecimal digits: restore it, or remove it to have a new one made", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Makes a directory that only its owner may enter, if it is not there.
pub(crate) fn private_directory(path: &Path) -> Result<(), SecretFileError> {
    let error = |source| SecretFileError::Io { what: "make the directory", path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(error)
}

/// The secret in a file, which is made if it is not there.
pub(crate) fn read_or_make(path: &Path) -> Result<SecretString, SecretFileError> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    make(path)?;
    read(path)?.ok_or_else(|| SecretFileError::Malformed { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Option<SecretString>, SecretFileError> {
    let error = |source| SecretFileError::Io { what: "read", path: path.to_owned(), source };
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(error(other)),
    };
    if mode & 0o077 != 0 {
        return Err(SecretFileError::TooOpen { path: path.to_owned(), mode });
    }
    let text = fs::read_to_string(path).map_err(error)?;
    let secret = text.trim_end();
    if secret.len() != DIGITS || !secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(SecretFileError::Malformed { path: path.to_owned() });
    }
    Ok(Some(secret.into()))
}

fn make(path: &Path) -> Result<(), SecretFileError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    private_directory(directory)?;
    let draft = path.with_extension("new");
    let error = |source| SecretFileError::Io { what: "write", path: path.to_owned(), source };
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        writeln!(file, "{}", hex(&random_bytes::<{ DIGITS / 2 }>()))?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(directory)?.sync_all()
    })();
    written.map_err(error)
}

/// The bytes that the digits stand for. `secret` has come from [`read_or_make`].
pub(crate) fn bytes_of(secret: &str) -> Vec<u8> {
    secret
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | char::from(*digit).to_digit(16).unwrap_or(0) as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys").join("a.key");
        let first = read_or_make(&path).expect("made");
        let second = read_or_make(&path).expect("read");
        assert_eq!(first.expose_secret(), second.expose_secret());
        assert_eq!(bytes_of(first.expose_secret()).len(), 32);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().expect("has one")).expect("there").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn digits_are_bytes() {
        assert_eq!(bytes_of("00ff10aB"), [0x00, 0xff, 0x10, 0xab]);
    }

    #[test]
    fn what_is_no_secret_or_none_any_more_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.key");
        read_or_make(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("opened up");
        assert!(matches!(read_or_make(&path), Err(SecretFileError::TooOpen { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("closed");
        fs::write(&path, "too short").expect("written");
        assert!(matches!(read_or_make(&path), Err(SecretFileError::Malformed { .. })));
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("a directory in its place");
        assert!(read_or_make(&path).is_err());
    }
}
