//! A small file that travels with the rows: a key that a cluster cannot be led without.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A file's name and contents. What it is for, and where it goes, is the caller's to know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enclosed {
    /// A plain name, of at most 64 letters, digits, points and dashes; never a path.
    pub file: String,
    /// At most 64 kB.
    pub text: String,
}

/// More than anybody encloses.
pub(crate) const MOST: usize = 16;

impl Enclosed {
    /// Whether it is as its fields say.
    pub(crate) fn is_valid(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let named = (1..=64).contains(&self.file.len()) && self.file.bytes().all(plain) && !self.file.starts_with('.');
        named && self.text.len() <= 65_536
    }
}

/// Never shows the contents.
impl fmt::Debug for Enclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enclosed").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_contents_are_not_shown() {
        let named = |file: &str| Enclosed { file: file.to_owned(), text: "secret".to_owned() };
        assert!(named("jwt.key").is_valid() && named("agent.token").is_valid());
        for bad in ["", "..", ".bashrc", "a/b", "/etc/passwd", "a\\b", "a b", "a\0", &"a".repeat(65)] {
            assert!(!named(bad).is_valid(), "{bad:?}");
        }
        assert!(!format!("{:?}", named("jwt.key")).contains("secret"));
    }
}
