//! Writing a file so that it is the old one or the new one. The agent and its shims write alike: there is no other way.
//! Must never need a runtime.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Whether a power cut may take the file back to what it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flush {
    Yes,
    No,
}

/// Writes beside the file, then puts that in its place. What is left of a failed attempt is removed: it would fill a
/// disk that is full already.
pub(crate) fn replace(path: &Path, content: &[u8], flush: Flush) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let written = (|| {
        // One that an earlier, killed program left may have other rights.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        if flush == Flush::Yes {
            file.sync_all()?;
        }
        match flush {
            Flush::Yes => put_in_place(&beside, path),
            Flush::No => std::fs::rename(&beside, path),
        }
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Writes over the start of a file that is there.
pub(crate) fn over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Puts a synced file in the place of another, whatever a power cut does.
pub(crate) fn put_in_place(file: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(file, path)?;
    sync_name(path)
}

/// Syncs that there is something by this name: its directory.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_takes_the_place_of_the_old_and_nothing_is_left_beside() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file.json");
        for (content, flush) in [("a long first content", Flush::Yes), ("short", Flush::No)] {
            replace(&path, content.as_bytes(), flush).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("read"), content);
        }
        over(&path, b"SHORT").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "SHORT");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_stays_as_it_was() {
        let error = replace(Path::new("/proc/fogline/none"), b"x", Flush::Yes).expect_err("no such place");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
