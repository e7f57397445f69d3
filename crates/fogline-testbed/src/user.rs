//! Users of the machine: some servers refuse to run as root.

use std::fs;

/// A user and its group, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The user of this name, which the Debian package `package` makes.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn named(name: &str, package: &str) -> Self {
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let found = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (found, _password) = (fields.next()?, fields.next()?);
            let user = Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? };
            (found == name).then_some(user)
        });
        found.unwrap_or_else(|| panic!("this test needs the user {name}: run `make deps`, or install {package}"))
    }
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
