//! `fogline logs`: what replicas have written, one or all of them.
//!
//! Invariant: with several replicas each line is whole and says whose it is.

use std::io::Write;

use clap::Args;
use fogline_api::client::{Client, LogQuery};
use fogline_api::http::ReplicaResponse;
use fogline_core::id::DeploymentId;
use tokio::sync::mpsc;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{LogCleaner, clean, written};
use crate::session::{ClientArgs, Session};

/// Lines that may wait for a slow terminal.
const WAITING_LINES: usize = 1_024;

/// A longer line is shown in parts: a replica that writes no line feed must not fill this machine's memory.
const LONGEST_LINE_BYTES: usize = 64 * 1_024;

/// Flags of `fogline logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Name or id of the deployment
    deployment: String,
    /// Go on as more is written
    #[arg(short, long)]
    follow: bool,
    /// How many lines from the end, at most 10000
    #[arg(short, long, default_value_t = 100, value_name = "LINES", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    tail: u32,
    /// Only this replica: its id, or the end of it
    #[arg(short, long, value_name = "ID")]
    replica: Option<String>,
    /// Replicas that are gone, too
    #[arg(short, long)]
    all: bool,
    /// Print escape sequences as they are
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints them.
pub async fn run(args: LogsArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let id = session.find(&args.deployment).await?;
    let client = session.client().await?;
    let replicas = choose(client.replicas(id, args.all || args.replica.is_some()).await?, args.replica.as_deref())?;
    let query = LogQuery { tail: args.tail, follow: args.follow };
    match replicas.as_slice() {
        [] => Err(Failure::new(Exit::NotFound, format!("{} has no replicas", args.deployment))
            .hint("--all shows the logs of those that are gone")),
        [one] => print_one(&client, id, one, query, args.raw).await,
        several => print_several(&client, id, several, query, args.raw).await,
    }
}

pub(super) fn choose(mut replicas: Vec<ReplicaResponse>, wanted: Option<&str>) -> Outcome<Vec<ReplicaResponse>> {
    let Some(wanted) = wanted else { return Ok(replicas) };
    replicas.retain(|replica| replica.id.to_string().ends_with(wanted));
    match replicas.len() {
        1 => Ok(replicas),
        0 => Err(Failure::new(Exit::NotFound, format!("there is no replica {wanted:?}"))
            .hint("`fogline replicas --all` lists them")),
        several => {
            Err(Failure::new(Exit::Refused, format!("{several} replicas end in {wanted:?}"))
                .hint("type more of the id"))
        }
    }
}

async fn print_one(
    client: &Client,
    id: DeploymentId,
    replica: &ReplicaResponse,
    query: LogQuery,
    raw: bool,
) -> Outcome {
    let mut log = client.logs(id, replica.id, query).await?;
    let mut cleaner = LogCleaner::default();
    let print = |bytes: &[u8]| {
        let mut out = std::io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    };
    while let Some(piece) = log.next().await? {
        if raw { print(&piece)? } else { print(cleaner.push(&piece).as_bytes())? }
    }
    print(cleaner.finish().as_bytes())
}

async fn print_several(
    client: &Client,
    id: DeploymentId,
    replicas: &[ReplicaResponse],
    query: LogQuery,
    raw: bool,
) -> Outcome {
    let (lines, mut arriving) = mpsc::channel::<Vec<u8>>(WAITING_LINES);
    let mut readers = tokio::task::JoinSet::new();
    for replica in replicas {
        let prefix = prefix(replica);
        readers.spawn(read_lines(client.clone(), id, replica.clone(), query, raw, prefix, lines.clone()));
    }
    drop(lines);
    while let Some(line) = arriving.recv().await {
        written(std::io::stdout().lock().write_all(&line))?;
    }
    let mut failed = None;
    while let Some(ended) = readers.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failed = Some(failure),
            Err(_) => failed = Some(Failure::general("the reading of a log broke off")),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The end of the id, where ids of one instant differ, and the node.
fn prefix(replica: &ReplicaResponse) -> String {
    let id = replica.id.to_string();
    let end = &id[id.len().saturating_sub(6)..];
    match &replica.node {
        Some(node) => format!("{end}@{}", clean(node)),
        None => end.to_owned(),
    }
}

async fn read_lines(
    client: Client,
    id: DeploymentId,
    replica: ReplicaResponse,
    query: LogQuery,
    raw: bool,
    prefix: String,
    lines: mpsc::Sender<Vec<u8>>,
) -> Outcome {
    let mut log = client.logs(id, replica.id, query).await.map_err(|error| {
        let mut failure = Failure::from(error);
        failure.message = format!("the log of replica {}: {}", replica.id, failure.message);
        failure
    })?;
    let mut cleaner = LogCleaner::default();
    let mut splitter = LineSplitter::new(prefix);
    while let Some(piece) = log.next().await? {
        let split = if raw { splitter.push(&piece) } else { splitter.push(cleaner.push(&piece).as_bytes()) };
        for line in split {
            if lines.send(line).await.is_err() {
                return Ok(());
            }
        }
    }
    let last = splitter.push(cleaner.finish().as_bytes()).into_iter().chain(splitter.finish());
    for line in last {
        // Nobody reads any more: then nobody misses it either.
        let _ = lines.send(line).await;
    }
    Ok(())
}

/// Puts whole lines together from pieces that break anywhere, each with whose it is before it.
struct LineSplitter {
    prefix: String,
    /// The beginning of a line whose end has not arrived; never holds a line feed.
    line: Vec<u8>,
}

impl LineSplitter {
    fn new(prefix: String) -> Self {
        Self { prefix, line: Vec::new() }
    }

    /// The lines that this piece ends. A line longer than [`LONGEST_LINE_BYTES`] is several.
    fn push(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            while self.line.len() + text.len() > LONGEST_LINE_BYTES {
                let (now, later) = text.split_at(LONGEST_LINE_BYTES - self.line.len());
                self.line.extend_from_slice(now);
                text = later;
                let rest = self.line.split_off(whole_characters(&self.line));
                lines.push(self.take());
                self.line = rest;
            }
            self.line.extend_from_slice(text);
            if ends {
                lines.push(self.take());
            }
        }
        lines
    }

    /// What is left when nothing more comes.
    fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.line);
        [self.prefix.as_bytes(), b" | ", &line, b"\n"].concat()
    }
}

/// How many of these bytes there are without a character that is not finished at their end.
fn whole_characters(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        Some(chunk) if std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none()) => {
            bytes.len() - chunk.invalid().len()
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_a_piece_breaks() {
        let log = "first\n\nzwölf 漢\nlast".as_bytes();
        for cut in 0..=log.len() {
            let mut splitter = LineSplitter::new("a".to_owned());
            let mut lines = splitter.push(&log[..cut]);
            lines.extend(splitter.push(&log[cut..]));
            lines.extend(splitter.finish());
            assert_eq!(lines.concat(), "a | first\na | \na | zwölf 漢\na | last\n".as_bytes(), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_end_is_shown_in_parts_of_whole_characters() {
        let text = "xö漢".repeat(100_000);
        for piece_bytes in [7, 4_096, LONGEST_LINE_BYTES + 1, text.len()] {
            let mut splitter = LineSplitter::new("a".to_owned());
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(piece_bytes) {
                lines.extend(splitter.push(piece));
                assert!(splitter.line.len() <= LONGEST_LINE_BYTES);
            }
            lines.extend(splitter.finish());
            assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE_BYTES + "a | \n".len()));
            let shown: Vec<String> =
                lines.into_iter().map(|line| String::from_utf8(line).expect("whole characters")).collect();
            let joined: String =
                shown.iter().map(|line| line.trim_start_matches("a | ").trim_end_matches('\n')).collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn what_is_no_text_passes_as_it_is() {
        let mut splitter = LineSplitter::new("a".to_owned());
        assert_eq!(splitter.push(b"\xff\xfe\n"), [b"a | \xff\xfe\n"]);
    }
}
