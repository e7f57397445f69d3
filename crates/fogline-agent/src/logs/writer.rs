//! Writes a replica's output and puts full files aside.
//!
//! Must never fail, nor keep the replica waiting for a disk with no room: what cannot be written is dropped and counted,
//! and the count is written when there is room again. Tests are below.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::LogLimits;

/// Appends to the files in one directory. There must be one a directory.
#[derive(Debug)]
pub struct LogWriter {
    dir: PathBuf,
    limits: LogLimits,
    current: Option<(File, u64)>,
    /// Bytes lost since the last notice, and why.
    lost: Option<(u64, String)>,
}

impl LogWriter {
    /// Goes on where an earlier writer stopped.
    #[must_use]
    pub const fn new(dir: PathBuf, limits: LogLimits) -> Self {
        Self { dir, limits, current: None, lost: None }
    }

    /// Writes what it can.
    pub fn write(&mut self, data: &[u8]) {
        if let Some((bytes, reason)) = self.lost.take() {
            let notice = format!("\n[fogline: {bytes} bytes of output were lost here: {reason}]\n");
            if let Err((_, error)) = self.try_write(notice.as_bytes()) {
                self.lost = Some((bytes.saturating_add(data.len() as u64), error.to_string()));
                return;
            }
        }
        if let Err((written, error)) = self.try_write(data) {
            self.lost = Some(((data.len() - written) as u64, error.to_string()));
        }
    }

    /// On failure, how much was written before.
    fn try_write(&mut self, data: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < data.len() {
            written += self.write_some(&data[written..]).map_err(|error| (written, error))?;
        }
        Ok(())
    }

    /// As much as fits into one file. Files end with a line where they can.
    fn write_some(&mut self, data: &[u8]) -> io::Result<usize> {
        let (mut file, mut size) = match self.current.take() {
            Some(opened) => opened,
            None => self.open()?,
        };
        let fits = |size: u64| {
            let room = usize::try_from(self.limits.file_bytes.saturating_sub(size)).unwrap_or(usize::MAX);
            if data.len() <= room {
                return data.len();
            }
            let last_end = data[..room].iter().rposition(|byte| *byte == b'\n');
            last_end.map_or(if size == 0 { room.max(1) } else { 0 }, |end| end + 1)
        };
        if fits(size) == 0 {
            drop(file);
            self.rotate()?;
            (file, size) = self.open()?;
        }
        let count = match file.write(&data[..fits(size)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            written => written?,
        };
        self.current = Some((file, size + count as u64));
        Ok(count)
    }

    fn open(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.dir.join("current"))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    fn rotate(&self) -> io::Result<()> {
        let current = self.dir.join("current");
        let kept = self.limits.files.saturating_sub(1);
        if kept == 0 {
            return fs::remove_file(current);
        }
        for number in (1..kept).rev() {
            match fs::rename(self.dir.join(number.to_string()), self.dir.join((number + 1).to_string())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(current, self.dir.join("1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_output_is_kept_within_the_limits() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = LogWriter::new(dir.path().to_owned(), LogLimits { file_bytes: 100, files: 3 });
        for number in 0..100 {
            writer.write(format!("line {number:04}\n").as_bytes());
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("there");
        let all = ["2", "1", "current"].map(read);
        assert!(all.iter().all(|text| text.len() <= 100));
        let lines: Vec<&str> = all.iter().flat_map(|text| text.lines()).collect();
        assert_eq!(lines.last(), Some(&"line 0099"));
        assert!(lines.len() >= 20 && lines.windows(2).all(|pair| pair[0] < pair[1]), "{lines:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 3);
    }

    #[test]
    fn a_piece_larger_than_a_file_is_not_lost() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = LogWriter::new(dir.path().to_owned(), LogLimits { file_bytes: 100, files: 3 });
        writer.write(&[b'x'; 250]);
        assert_eq!(writer.lost, None);
        let sizes: u64 = fs::read_dir(dir.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").metadata().expect("metadata").len())
            .sum();
        assert_eq!(sizes, 250);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said_later() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = dir.path().join("logs");
        let mut writer = LogWriter::new(logs.clone(), LogLimits::default());
        writer.write(b"nobody will read this\n");
        assert_eq!(writer.lost.as_ref().map(|(bytes, _)| *bytes), Some(22));
        fs::create_dir(&logs).expect("made");
        writer.write(b"but this\n");
        let text = fs::read_to_string(logs.join("current")).expect("there");
        assert!(text.contains("22 bytes of output were lost") && text.ends_with("but this\n"), "{text}");
    }
}
