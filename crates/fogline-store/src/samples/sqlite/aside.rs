//! Where a file goes that cannot be used: beside the new one, under a name of its own. The last one is kept.

use std::io;
use std::path::{Path, PathBuf};

/// What is with a database file: its log, and the index of that.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Gives the file another name. Where that fails, the next open says so.
pub(super) fn set_aside(file: &Path, detail: &str) {
    let kept = part(file, ".damaged");
    tracing::warn!(
        file = %file.display(), kept = %kept.display(), detail,
        "the file of samples is damaged: it is set aside, and samples are begun anew"
    );
    for suffix in PARTS {
        let (from, to) = (part(file, suffix), part(&kept, suffix));
        let moved = match std::fs::rename(&from, &to) {
            // No log of an earlier one must stay beside it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::remove_file(&to),
            moved => moved,
        };
        match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %from.display(), %error, "cannot set aside");
            }
            _ => {}
        }
    }
}

/// The file's name with this behind it.
pub(super) fn part(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
