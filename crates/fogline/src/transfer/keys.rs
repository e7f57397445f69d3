//! The keys of a cluster, which a backup carries: without them agents and logins would belong to another cluster.
//!
//! Invariant: a key that is there is never lost: it is kept under another name before a different one takes its place,
//! and only where that was asked for.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fogline_server::{ServerConfig, keys_fingerprint};
use fogline_store::{Enclosed, Header};

use crate::exit::{Exit, Failure, Outcome};

/// What the files are called in a backup, and where they belong.
fn places(config: &ServerConfig) -> [(&'static str, PathBuf); 2] {
    [("agent.token", config.agent_token_path()), ("jwt.key", config.jwt_key_path())]
}

/// The keys in a data directory.
///
/// # Errors
/// When one is missing or cannot be read.
pub fn read(config: &ServerConfig) -> Outcome<Vec<Enclosed>> {
    let read = |(name, path): (&str, PathBuf)| match fs::read_to_string(&path) {
        Ok(text) => Ok(Enclosed { file: name.to_owned(), text }),
        Err(error) => {
            let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failure };
            Err(Failure::new(exit, format!("cannot read the key {}", path.display())).because(error).hint(
                "--data names the data directory of a server of the cluster; --without-keys makes a backup without them",
            ))
        }
    };
    places(config).into_iter().map(read).collect()
}

/// Refuses keys that are not those of the cluster, as far as it remembers which ones it has: a backup with others would be
/// found out when the right ones may be lost.
///
/// # Errors
/// When they are others.
pub fn check(config: &ServerConfig, keys: &[Enclosed], header: &Header) -> Outcome {
    let key = |name: &str| keys.iter().find(|key| key.file == name).map(|key| key.text.trim_end());
    let (Some(token), Some(jwt)) = (key("agent.token"), key("jwt.key")) else { return Ok(()) };
    match &header.keys_fingerprint {
        Some(pinned) if *pinned != keys_fingerprint(jwt, token) => Err(Failure::new(
            Exit::Refused,
            format!("the keys in {} are not those of the cluster in the database", config.data_dir.display()),
        )
        .hint(
            "--data names the data directory of a server of the cluster; --without-keys makes a backup without them",
        )),
        _ => Ok(()),
    }
}

/// Keys that are to be written, and where.
#[derive(Default)]
pub struct Plan {
    writes: Vec<(PathBuf, String)>,
}

impl Plan {
    /// What has to be written so that the data directory has these keys. Keys that are there already are left alone.
    ///
    /// # Errors
    /// When other ones are there, and may not be replaced.
    pub fn of(config: &ServerConfig, enclosed: &[Enclosed], replace: bool) -> Outcome<Self> {
        let mut plan = Self::default();
        for (name, path) in places(config) {
            let Some(key) = enclosed.iter().find(|key| key.file == name) else { continue };
            match fs::read_to_string(&path) {
                Ok(text) if text == key.text => continue,
                Ok(_) if !replace => {
                    return Err(Failure::new(
                        Exit::Refused,
                        format!("{} is there already, and is another key than the backup's", path.display()),
                    )
                    .hint(
                        "restore into another data directory, or add --replace (the key that is there is kept beside)",
                    ));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &path, &error)),
            }
            plan.writes.push((path, key.text.clone()));
        }
        Ok(plan)
    }

    /// Writes them, and says where each is now. Those that were there get another name first: in `aside` when there is
    /// such a directory, else beside.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(self, aside: Option<&Path>) -> Outcome<Vec<PathBuf>> {
        let write = |(path, text): (PathBuf, String)| {
            let written = keep_old(&path, aside).and_then(|()| put(&path, &text));
            written.map_err(|error| failed("write", &path, &error))?;
            Ok(path)
        };
        self.writes.into_iter().map(write).collect()
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::general(format!("cannot {what} the key {}", path.display())).because(error)
}

fn keep_old(path: &Path, aside: Option<&Path>) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    let free = |number: u32| {
        let mut name = name.to_owned();
        name.push(format!(".before-restore-{number}"));
        path.with_file_name(name)
    };
    let beside = (1..).map(free).find(|path| !path.exists());
    let old = aside.map(|directory| directory.join(name)).filter(|path| !path.exists()).or(beside);
    fs::hard_link(path, old.expect("there is always another number"))
}

/// The whole file under its name, on the disk, for its owner alone.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = path.with_extension("restored");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(name: &str, text: &str) -> Enclosed {
        Enclosed { file: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn keys_are_written_where_none_are_and_never_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = ServerConfig::new(directory.path().join("data"));
        let keys = [key("agent.token", "one\n"), key("jwt.key", "two\n"), key("other.key", "not ours to place\n")];
        assert_eq!(read(&config).expect_err("there are none").exit, Exit::NotFound);
        assert_eq!(Plan::of(&config, &keys, false).expect("fits").write(None).expect("written").len(), 2);
        assert_eq!(read(&config).expect("are there"), keys[..2]);
        assert_eq!(fs::metadata(config.jwt_key_path()).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Plan::of(&config, &keys, false).expect("the same").write(None).expect("nothing").len(), 0);

        let others = [key("agent.token", "three\n")];
        let refused = Plan::of(&config, &others, false).err().expect("another one is there");
        assert!(refused.exit == Exit::Refused && refused.to_string().contains("--replace"), "{refused}");
        Plan::of(&config, &others, true).expect("may").write(None).expect("written");
        let text = |name: &str| fs::read_to_string(config.data_dir.join(name)).expect("there");
        assert_eq!(
            (text("agent.token"), text("agent.token.before-restore-1")),
            ("three\n".to_owned(), "one\n".to_owned())
        );
        let aside = config.data_dir.join("aside");
        fs::create_dir(&aside).expect("made");
        Plan::of(&config, &keys, true).expect("may").write(Some(&aside)).expect("written");
        assert_eq!((text("agent.token"), text("aside/agent.token")), ("one\n".to_owned(), "three\n".to_owned()));
    }
}
