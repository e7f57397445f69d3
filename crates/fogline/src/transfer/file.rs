//! A backup's file: written beside its name and renamed once it is whole and on the disk; `-` for the standard streams.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::exit::{Exit, Failure, Outcome};

/// The name that stands for standard input and output.
const STREAM: &str = "-";

/// Whether a name stands for a standard stream.
pub fn is_stream(name: &Path) -> bool {
    name == Path::new(STREAM)
}

/// Where a backup is being written. Dropped before it is kept, it leaves nothing.
pub enum Draft {
    /// A file without its name yet, readable by its owner alone.
    File {
        /// As long as it is not whole.
        draft: NamedTempFile,
        /// The name that was asked for.
        to: PathBuf,
    },
    /// Standard output.
    Stream,
}

impl Draft {
    /// Makes it.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(to: &Path) -> Outcome<Self> {
        if is_stream(to) {
            if io::stdout().is_terminal() {
                return Err(Failure::new(Exit::Usage, "a backup is no text for a terminal")
                    .hint("name a file with --to, or send standard output somewhere"));
            }
            return Ok(Self::Stream);
        }
        if to.is_dir() {
            return Err(Failure::new(Exit::Usage, format!("{} is a directory", to.display()))
                .hint("--to names the file that is to be written"));
        }
        let directory = directory(to);
        let draft = tempfile::Builder::new().prefix(".fogline-backup-").tempfile_in(directory);
        let draft = draft.map_err(|error| cannot_write(to, &error))?;
        Ok(Self::File { draft, to: to.to_owned() })
    }

    /// What is written to.
    ///
    /// # Errors
    /// When no further descriptor can be had.
    pub fn file(&self) -> Outcome<File> {
        match self {
            Self::File { draft, to } => draft.as_file().try_clone().map_err(|error| cannot_write(to, &error)),
            Self::Stream => {
                let stream = io::stdout().as_fd().try_clone_to_owned();
                stream.map(File::from).map_err(|error| cannot_write(Path::new(STREAM), &error))
            }
        }
    }

    /// Makes sure that all of it is on the disk, and gives it its name.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub fn keep(self) -> Outcome {
        let Self::File { draft, to } = self else { return Ok(()) };
        draft.as_file().sync_all().map_err(|error| cannot_write(&to, &error))?;
        draft.persist(&to).map_err(|error| cannot_write(&to, &error.error))?;
        File::open(directory(&to)).and_then(|names| names.sync_all()).map_err(|error| cannot_write(&to, &error))
    }
}

/// A backup to read. What comes on standard input is kept in a file without a name, because it is read twice.
///
/// # Errors
/// When it is not there or cannot be read.
pub fn open(from: &Path) -> Outcome<File> {
    let failed = |exit, error: io::Error| {
        Failure::new(exit, format!("cannot read the backup {}", from.display())).because(error)
    };
    if is_stream(from) {
        let mut file = tempfile::tempfile().map_err(|error| failed(Exit::Failure, error))?;
        io::copy(&mut io::stdin().lock(), &mut file).map_err(|error| failed(Exit::Failure, error))?;
        return Ok(file);
    }
    match File::open(from) {
        Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => Ok(file),
        Ok(_) => Err(Failure::new(Exit::Usage, format!("{} is no file", from.display()))
            .hint("--from names the file that `fogline backup --to` has written, or - for standard input")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failed(Exit::NotFound, error)),
        Err(error) => Err(failed(Exit::Failure, error)),
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_write(to: &Path, error: &io::Error) -> Failure {
    Failure::general(format!("cannot write the backup {}", to.display())).because(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_gets_its_name_only_when_it_is_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let to = directory.path().join("backup");
        std::fs::write(&to, "the last one").expect("written");
        let names = || std::fs::read_dir(directory.path()).expect("is there").count();

        let draft = Draft::create(&to).expect("made");
        draft.file().expect("a file").write_all(b"half").expect("written");
        drop(draft);
        assert_eq!((std::fs::read(&to).expect("kept"), names()), (b"the last one".to_vec(), 1));

        let draft = Draft::create(&to).expect("made");
        draft.file().expect("a file").write_all(b"whole").expect("written");
        draft.keep().expect("kept");
        assert_eq!((std::fs::read(&to).expect("there"), names()), (b"whole".to_vec(), 1));
        assert_eq!(std::fs::metadata(&to).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
