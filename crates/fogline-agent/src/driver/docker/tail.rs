//! The last lines of a container's output: where they begin, and how the engine is asked for them.
//!
//! Docker counts lines itself. Podman is asked for everything, and what comes before is left out here: asked for a number
//! of lines, it puts the pieces of a line that was written or read in several behind the line before, and loses those of
//! the first one (containers/podman pull request 19562, in 4.7; Debian 12 has 4.3). Must never hold more than a piece in
//! memory. Tests: below, and `tests/it/driver/contract`.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use bytes::{Buf, Bytes};
use tokio_stream::{Stream, StreamExt};

use super::{EngineError, Inner};

/// The end of a container's output, from some line on.
pub(super) struct Tail {
    /// What the engine is asked for.
    asked: String,
    /// How many lines of that come before.
    before: u64,
    /// The first piece of it, as it was when the lines were counted.
    first: Option<Bytes>,
    /// How many lines there are, at most as many as were wanted.
    pub lines: u32,
}

impl Tail {
    /// From the first line.
    pub fn whole() -> Self {
        Self { asked: "all".to_owned(), before: 0, first: None, lines: u32::MAX }
    }

    /// Counts what the container has said until now.
    pub async fn of(inner: &Inner, id: &str, wanted: u32) -> Result<Self, EngineError> {
        let whole = Self::whole();
        if wanted == 0 {
            return Ok(Self { asked: "0".to_owned(), lines: 0, ..whole });
        }
        let is_podman = inner.engine.found().borrow().as_ref().is_some_and(|found| found.is_podman);
        let tail = if is_podman { whole } else { Self { asked: wanted.to_string(), ..whole } };
        let mut output = tail.open(inner, id, false).await?;
        let (mut first, mut lines, mut pieces) = (None, Lines::default(), 0);
        let counted = async {
            while let Some(piece) = output.next().await.transpose()? {
                lines.add(&piece);
                // Of a line that is too long for one piece, Docker counts each.
                pieces += piece.iter().filter(|byte| **byte == b'\n').count().max(1) as u64;
                first.get_or_insert(piece);
            }
            Ok(())
        };
        inner.engine.within(READING, counted).await?;
        let (count, wanted) = (if is_podman { lines.count() } else { pieces }, u64::from(wanted));
        let before = if is_podman { count.saturating_sub(wanted) } else { 0 };
        Ok(Self { before, first, lines: u32::try_from(count.min(wanted)).expect("at most as many as wanted"), ..tail })
    }

    /// What the engine has of it; with `follow` also what comes. It is to be [`Tail::cut`].
    pub async fn open(
        &self,
        inner: &Inner,
        id: &str,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Bytes, EngineError>> + Unpin + use<>, EngineError> {
        let options =
            LogsOptions { follow, stdout: true, stderr: true, tail: self.asked.clone(), ..LogsOptions::default() };
        let output = inner.engine.client().await?.logs(id, Some(options));
        Ok(output.map(|piece| piece.map(LogOutput::into_bytes).map_err(|error| EngineError::of(READING, &error))))
    }

    /// What is wanted of the next piece.
    pub fn cut(&mut self, mut piece: Bytes) -> Bytes {
        // Podman begins a log anew when it is full: then all of it came after what was counted.
        if self.first.take().is_some_and(|first| first != piece) {
            self.before = 0;
        }
        while self.before > 0 && !piece.is_empty() {
            let end = piece.iter().position(|byte| *byte == b'\n');
            piece.advance(end.map_or(piece.len(), |end| end + 1));
            self.before -= u64::from(end.is_some());
        }
        piece
    }
}

const READING: &str = "reading the container's output";

/// Counts lines that come in pieces. A last one without an end counts.
#[derive(Default)]
struct Lines {
    ends: u64,
    is_within: bool,
}

impl Lines {
    fn add(&mut self, piece: &[u8]) {
        self.ends += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.is_within = piece.last().map_or(self.is_within, |byte| *byte != b'\n');
    }

    fn count(&self) -> u64 {
        self.ends + u64::from(self.is_within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: [&str; 7] = ["one\n", "tw", "o\n", "", "three\nfour\n", "fi", "ve"];

    fn cut(before: u64, first: &'static str) -> String {
        let mut tail = Tail { before, first: Some(first.into()), ..Tail::whole() };
        PIECES.iter().map(|piece| String::from_utf8(tail.cut((*piece).into()).to_vec()).expect("text")).collect()
    }

    #[test]
    fn lines_are_counted_and_left_out_whatever_pieces_they_come_in() {
        let mut lines = Lines::default();
        PIECES.iter().for_each(|piece| lines.add(piece.as_bytes()));
        assert_eq!(lines.count(), 5);
        let all = PIECES.concat();
        for before in 0..=5 {
            let expected: String = all.split_inclusive('\n').skip(usize::try_from(before).expect("few")).collect();
            assert_eq!(cut(before, PIECES[0]), expected, "after {before} lines");
        }
    }

    #[test]
    fn a_log_that_was_begun_anew_is_shown_from_its_first_line() {
        assert_eq!(cut(3, "another line\n"), PIECES.concat());
    }
}
