//! Reads a replica's output while it may be written and put aside.
//!
//! Follows files, not names: a file that is open keeps its inode number, so a rotation between two looks neither
//! repeats nor skips anything, unless more was written than is kept. Blocks, so it runs on a blocking thread. Tests are
//! below.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

const CHUNK_BYTES: usize = 32 * 1_024;

/// What came next.
pub(super) enum Next {
    Chunk(Bytes),
    /// All that there is now was read.
    NothingYet,
    /// The directory is gone: nothing will come.
    End,
}

/// A place in a replica's output.
pub(super) struct Reader {
    dir: PathBuf,
    /// From the one that is being read to the newest; the inode number beside each.
    files: VecDeque<(File, u64)>,
}

impl Reader {
    /// `lines` lines before the end.
    pub(super) fn at_tail(dir: &Path, lines: u32) -> io::Result<Self> {
        let mut files = open_all(dir)?;
        let (index, offset) = tail_start(&files, lines)?;
        files.drain(..index);
        if let Some((file, _)) = files.front_mut() {
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(Self { dir: dir.to_owned(), files })
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        loop {
            let chunk = match self.files.front_mut() {
                Some((file, _)) => read_chunk(file)?,
                None => None,
            };
            if let Some(chunk) = chunk {
                return Ok(Next::Chunk(chunk));
            }
            if self.files.len() > 1 {
                self.files.pop_front();
                continue;
            }
            let newest = self.files.back().map(|(_, inode)| *inode);
            let mut newer = open_all(&self.dir)?;
            if newer.back().map(|(_, inode)| *inode) == newest {
                return Ok(if self.dir.exists() { Next::NothingYet } else { Next::End });
            }
            if newer.is_empty() {
                // Between two renames, or the directory was moved away: what is open has been read.
                return Ok(if self.dir.exists() { Next::NothingYet } else { Next::End });
            }
            // A rotation: what was written to the open file before it is read first, then all that is newer. If the
            // open file is not kept any more, everything kept is newer.
            if let Some(place) = newer.iter().position(|(_, inode)| Some(*inode) == newest) {
                newer.drain(..=place);
            }
            self.files.extend(newer);
        }
    }
}

fn read_chunk(file: &mut File) -> io::Result<Option<Bytes>> {
    let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
    let count = loop {
        match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    chunk.truncate(count);
    Ok((count > 0).then(|| chunk.freeze()))
}

/// All files there are, the oldest first. A rotation meanwhile may show one twice or skip one, so it is done again
/// until two looks agree.
fn open_all(dir: &Path) -> io::Result<VecDeque<(File, u64)>> {
    loop {
        let names = names(dir)?;
        let mut files = VecDeque::new();
        for name in &names {
            match File::open(dir.join(name)) {
                Ok(file) => {
                    let inode = file.metadata()?.ino();
                    files.push_back((file, inode));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let still: Vec<u64> = names.iter().filter_map(|name| Some(fs::metadata(dir.join(name)).ok()?.ino())).collect();
        if files.iter().map(|(_, inode)| *inode).eq(still) {
            return Ok(files);
        }
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut names: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    names.push("current".to_owned());
    Ok(names)
}

/// The file, and the place in it, after which there are `lines` lines. A last line without an end counts.
fn tail_start(files: &VecDeque<(File, u64)>, lines: u32) -> io::Result<(usize, u64)> {
    let lengths = files.iter().map(|(file, _)| Ok(file.metadata()?.len())).collect::<io::Result<Vec<u64>>>()?;
    let Some(last) = files.len().checked_sub(1) else { return Ok((0, 0)) };
    if lines == 0 {
        return Ok((last, lengths[last]));
    }
    let mut ends_seen = 0;
    let mut at_very_end = true;
    let mut buffer = vec![0; CHUNK_BYTES];
    for index in (0..files.len()).rev() {
        let mut end = lengths[index];
        while end > 0 {
            let start = end.saturating_sub(CHUNK_BYTES as u64);
            let part = &mut buffer[..usize::try_from(end - start).unwrap_or(CHUNK_BYTES)];
            files[index].0.read_exact_at(part, start)?;
            for (place, byte) in part.iter().enumerate().rev() {
                if *byte == b'\n' && !at_very_end {
                    ends_seen += 1;
                    if ends_seen == lines {
                        return Ok((index, start + place as u64 + 1));
                    }
                }
                at_very_end = false;
            }
            end = start;
        }
    }
    Ok((0, 0))
}

#[cfg(test)]
mod tests {
    use super::super::{LogLimits, LogWriter};
    use super::*;

    fn rest(reader: &mut Reader) -> String {
        let mut text = Vec::new();
        while let Next::Chunk(chunk) = reader.next().expect("reads") {
            text.extend_from_slice(&chunk);
        }
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn the_tail_crosses_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = LogWriter::new(dir.path().to_owned(), LogLimits { file_bytes: 40, files: 4 });
        for number in 0..10 {
            writer.write(format!("line {number:04}\n").as_bytes());
        }
        for (lines, expected) in [(0, ""), (1, "line 0009\n"), (3, "line 0007\nline 0008\nline 0009\n")] {
            assert_eq!(rest(&mut Reader::at_tail(dir.path(), lines).expect("opens")), expected);
        }
        assert_eq!(rest(&mut Reader::at_tail(dir.path(), 6).expect("opens")).lines().count(), 6);
        assert_eq!(rest(&mut Reader::at_tail(dir.path(), 10_000).expect("opens")).lines().count(), 10);
        writer.write(b"no end");
        assert_eq!(rest(&mut Reader::at_tail(dir.path(), 2).expect("opens")), "line 0009\nno end");
    }

    #[test]
    fn a_follower_misses_and_repeats_nothing_over_rotations() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = LogWriter::new(dir.path().to_owned(), LogLimits { file_bytes: 50, files: 3 });
        let mut reader = Reader::at_tail(dir.path(), 10).expect("opens");
        let mut seen = String::new();
        for number in 0..100 {
            writer.write(format!("line {number:04}\n").as_bytes());
            // Now and then up to two rotations happen unseen.
            if number % 7 == 0 {
                seen.push_str(&rest(&mut reader));
            }
        }
        seen.push_str(&rest(&mut reader));
        let expected: String = (0..100).map(|number| format!("line {number:04}\n")).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn it_ends_with_the_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).expect("made");
        let mut reader = Reader::at_tail(&logs, 10).expect("opens");
        assert!(matches!(reader.next().expect("reads"), Next::NothingYet));
        fs::write(logs.join("current"), "last words\n").expect("written");
        fs::rename(&logs, dir.path().join("elsewhere")).expect("moved");
        assert!(matches!(reader.next().expect("reads"), Next::End), "what was never seen under its name is not found");
    }
}
