//! A look at the write-ahead log before SQLite reads it.
//!
//! SQLite stops at the first frame whose checksum is wrong and takes the rest for the torn end of a crash. At the very
//! end that is right. In the middle it would drop commits that were acknowledged, without a word. Since each commit is on
//! the disk before the next is begun, frames of a later transaction prove that the earlier one was whole: a bad frame
//! before those is damage. Format: sqlite.org/fileformat2.html#walformat. Tests: `tests/it/faults/damaged_log.rs`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::error::OpenError;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The last bit says which byte order the checksums use.
const MAGIC: u32 = 0x377f_0682;

/// Refuses a log that is damaged before its end.
pub(super) fn check(path: &Path) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable { file: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    match damage(BufReader::with_capacity(1 << 18, file)).map_err(unusable)? {
        None => Ok(()),
        Some(detail) => Err(OpenError::Corrupt { file: path.to_owned(), detail }),
    }
}

fn damage(mut log: impl Read) -> io::Result<Option<String>> {
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut log, &mut header)? || header == [0; HEADER_BYTES] {
        // Never written to the end, so no commit ever followed it.
        return Ok(None);
    }
    let magic = word(&header, 0);
    let page_bytes = word(&header, 8) as usize;
    let mut sum = Checksum { big_endian: magic & 1 == 1, s0: 0, s1: 0 };
    sum.add(&header[..24]);
    if magic & !1 != MAGIC || !sum.is_at(&header, 24) || !page_bytes.is_power_of_two() || page_bytes > 65_536 {
        return Ok(Some("the header of its write-ahead log is not what was written".to_owned()));
    }

    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let (mut number, mut bad, mut ended_after_bad) = (0_u64, None, false);
    while fill(&mut log, &mut frame)? {
        number += 1;
        let of_this_log = frame[8..16] == header[16..24];
        if bad.is_none() {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER_BYTES..]);
            if !(of_this_log && sum.is_at(&frame, 16)) {
                bad = Some(number);
            }
        }
        let Some(bad) = bad else { continue };
        if of_this_log && ended_after_bad {
            return Ok(Some(format!("frame {bad} of its write-ahead log is damaged, and later commits follow it")));
        }
        // The frame that ends a transaction says how large the database is then.
        ended_after_bad |= of_this_log && word(&frame, 4) != 0;
    }
    if ended_after_bad {
        tracing::warn!(frame = bad, "the write-ahead log ends in a commit that did not get to the disk: it is dropped");
    }
    Ok(None)
}

/// Fills the buffer, or says that the end came first.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The running checksum: over the header, then over every frame up to here.
struct Checksum {
    big_endian: bool,
    s0: u32,
    s1: u32,
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let (one, two) = (word(pair, 0), word(pair, 4));
            let (one, two) = if self.big_endian { (one, two) } else { (one.swap_bytes(), two.swap_bytes()) };
            self.s0 = self.s0.wrapping_add(one).wrapping_add(self.s1);
            self.s1 = self.s1.wrapping_add(two).wrapping_add(self.s0);
        }
    }

    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        word(bytes, at) == self.s0 && word(bytes, at + 4) == self.s1
    }
}
