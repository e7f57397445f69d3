//! Where the lines of a backup come from: a file, or an export that runs at the same time.
//!
//! Invariant: no more than one line or one chunk is held, whatever stands in the file.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};

use flate2::bufread::GzDecoder;
use tokio::sync::mpsc;

use super::TransferError;
use super::parser::{Event, Parser};

/// A row holds a spec of a megabyte at most; a line of this length was never written.
const LONGEST: u64 = 16 << 20;

/// Reads lines and has them checked.
pub(crate) struct Lines {
    from: From,
    parser: Parser,
}

enum From {
    File(Box<BufReader<GzDecoder<BufReader<File>>>>),
    Pipe { chunks: mpsc::Receiver<String>, rest: std::collections::VecDeque<String> },
}

impl Lines {
    /// A file, from its beginning.
    pub(crate) fn of_file(file: &File) -> Result<Self, TransferError> {
        let mut file = file.try_clone().map_err(TransferError::Read)?;
        file.rewind().map_err(TransferError::Read)?;
        let decoder = GzDecoder::new(BufReader::with_capacity(1 << 17, file));
        let from = From::File(Box::new(BufReader::with_capacity(1 << 17, decoder)));
        Ok(Self { from, parser: Parser::default() })
    }

    /// An export's chunks of whole lines.
    pub(crate) fn of_pipe(chunks: mpsc::Receiver<String>) -> Self {
        Self { from: From::Pipe { chunks, rest: std::collections::VecDeque::new() }, parser: Parser::default() }
    }

    /// What the next line says; nothing after the last one. An export that has failed leaves no last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, TransferError> {
        let line = match &mut self.from {
            From::File(file) => read(file, &self.parser)?,
            From::Pipe { chunks, rest } => {
                if rest.is_empty()
                    && let Some(chunk) = chunks.recv().await
                {
                    rest.extend(chunk.lines().map(str::to_owned));
                }
                rest.pop_front()
            }
        };
        match line {
            Some(line) => self.parser.line(&line).map(Some),
            None => self.parser.end().map(|()| None),
        }
    }
}

fn read(file: &mut BufReader<GzDecoder<BufReader<File>>>, parser: &Parser) -> Result<Option<String>, TransferError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => parser.torn(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData => parser.unreadable(&error.to_string()),
        _ => TransferError::Read(error),
    };
    let mut line = Vec::new();
    file.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(failed)?;
    if line.is_empty() {
        // What is compressed has ended; so must the file.
        let more = file.get_mut().get_mut().fill_buf().map_err(TransferError::Read)?;
        return if more.is_empty() { Ok(None) } else { Err(parser.unreadable("something follows the last line")) };
    }
    if line.pop() != Some(b'\n') {
        return Err(if line.len() as u64 + 1 >= LONGEST {
            parser.unreadable("the line is too long")
        } else {
            parser.torn()
        });
    }
    String::from_utf8(line).map(Some).map_err(|_| parser.unreadable("the line is no text"))
}
