//! Where lines go: standard output or a file, which is opened anew once it was renamed or removed, as tools that rotate
//! logs do. No signal is needed for that. Tests: below.

use std::fs::{File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where lines of the access log go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessLogTarget {
    /// Standard output.
    Stdout,
    /// The end of this file, which is made where there is none.
    File(PathBuf),
}

/// An open target. Unbuffered: it is given many whole lines at a time.
#[derive(Debug)]
pub(super) enum Target {
    Stdout(Stdout),
    File { path: PathBuf, file: File },
}

impl Target {
    pub fn open(target: &AccessLogTarget) -> Result<Self, String> {
        match target {
            AccessLogTarget::Stdout => Ok(Self::Stdout(io::stdout())),
            AccessLogTarget::File(path) => {
                let file = append(path).map_err(|error| {
                    format!(
                        "cannot write the access log to {}: {error}: give a file that may be written",
                        path.display()
                    )
                })?;
                Ok(Self::File { path: path.clone(), file })
            }
        }
    }

    /// Opens the file anew where another is found by its name, or none.
    pub fn follow_renames(&mut self) -> io::Result<()> {
        let Self::File { path, file } = self else { return Ok(()) };
        let open = file.metadata()?;
        let named = std::fs::metadata(&*path).ok();
        if named.is_some_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())) {
            return Ok(());
        }
        *file = append(path)?;
        Ok(())
    }
}

impl Write for Target {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(buffer),
            Self::File { file, .. } => file.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_left_and_a_new_one_begun() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, old) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let mut target = Target::open(&AccessLogTarget::File(path.clone())).expect("opened");
        target.write_all(b"one\n").expect("written");
        std::fs::rename(&path, &old).expect("renamed");
        target.write_all(b"two\n").expect("written");
        target.follow_renames().expect("reopened");
        target.write_all(b"three\n").expect("written");
        target.follow_renames().expect("the same");
        target.flush().expect("flushed");
        assert_eq!(std::fs::read_to_string(&old).expect("read"), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "three\n");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = Target::open(&AccessLogTarget::File("/proc/none/access.log".into())).expect_err("no such place");
        assert!(error.contains("/proc/none/access.log"), "{error}");
    }
}
