//! From lines to a database: all of them, or none.
//!
//! Invariant: what was written is read again within the same transaction, and only what has the checksums of the backup
//! is kept.

use std::fs::File;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::TransferError;
use super::catalogue::Table;
use super::enclosed::Enclosed;
use super::epoch;
use super::export::Source;
use super::footer::{Sum, TableSum};
use super::header::{Cluster, Header};
use super::lines::Lines;
use super::parser::{Event, tables_at};
use super::row::{self, Row};
use super::session::Session;
use crate::config::StoreConfig;

/// Rows that are written with one call.
const CHUNK_ROWS: usize = 256;
/// Or fewer, when they are this long together.
const CHUNK_BYTES: usize = 1 << 20;

/// A backup in a file, which was read to its end and is whole.
pub struct Backup {
    file: File,
    /// What it is of.
    pub header: Header,
    /// The files that came along.
    pub enclosed: Vec<Enclosed>,
    /// How much there is.
    pub tables: Vec<TableSum>,
}

/// How to restore.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restore {
    /// What is there may go: a file is set aside, the tables of a server are emptied.
    pub replace: bool,
    /// An epoch that agents may have obeyed, when one is known: the new one is higher.
    pub epoch_above: Option<u64>,
    /// Which keys the cluster had is forgotten: they are lost, and the first server makes new ones.
    pub forget_keys: bool,
}

/// What was restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// From what.
    pub header: Header,
    /// How much, counted and hashed in the database itself.
    pub tables: Vec<TableSum>,
    /// The epoch from which the next take-over counts on.
    pub epoch: u64,
    /// Where the database is that was there before.
    pub set_aside: Option<PathBuf>,
}

impl Backup {
    /// Reads a file to its end, and sees to it that it is a whole backup.
    ///
    /// # Errors
    /// When it is something else, torn, damaged, or of a newer program.
    pub async fn open(file: File) -> Result<Self, TransferError> {
        let mut lines = Lines::of_file(&file)?;
        let (mut header, mut enclosed, mut tables) = (None, Vec::new(), Vec::new());
        while let Some(event) = lines.next().await? {
            match event {
                Event::Header(first) => header = Some(first),
                Event::Enclosed(file) => enclosed.push(file),
                Event::End(sums) => tables = sums,
                Event::Table(_) | Event::Row(_) => {}
            }
        }
        let header = header.expect("the parser takes nothing before the header");
        Ok(Self { file, header, enclosed, tables })
    }

    /// Puts its rows into a database that is empty, or that may be replaced.
    ///
    /// # Errors
    /// When the database is in use or not empty, cannot be written, or what was written is not the same. It is as it was
    /// then.
    pub async fn restore(&self, to: &StoreConfig, how: &Restore) -> Result<Restored, TransferError> {
        import(&mut Lines::of_file(&self.file)?, to, how).await
    }
}

/// Copies a database into another one, which is empty or may be replaced: a backup that is restored while it is taken.
///
/// # Errors
/// As [`Source::back_up`] and [`Backup::restore`].
pub async fn copy(from: Source, to: &StoreConfig, how: &Restore) -> Result<Restored, TransferError> {
    let (sender, receiver) = mpsc::channel(4);
    let importing = async {
        let mut lines = Lines::of_pipe(receiver);
        import(&mut lines, to, how).await
    };
    match tokio::join!(from.send(sender), importing) {
        (_, Ok(restored)) => Ok(restored),
        // An export that was not heard to its end has failed because the import has.
        (Err(error), Err(_)) if !matches!(error, TransferError::Write(_)) => Err(error),
        (_, Err(error)) => Err(error),
    }
}

async fn import(lines: &mut Lines, to: &StoreConfig, how: &Restore) -> Result<Restored, TransferError> {
    let Some(Event::Header(header)) = lines.next().await? else {
        return Err(TransferError::NotABackup { detail: "it has no first line".to_owned() });
    };
    let epoch = epoch::raised(header.epoch, how.epoch_above)?;
    let mut session = Session::begin(to, header.schema, how.replace).await?;
    let cluster = Cluster {
        cluster_id: header.cluster_id.clone(),
        epoch,
        revision: header.revision,
        keys_fingerprint: header.keys_fingerprint.clone().filter(|_| !how.forget_keys),
    };
    match fill(&mut session, lines, header.schema, &cluster).await {
        Ok(tables) => {
            let set_aside = session.commit().await?;
            Ok(Restored { header, tables, epoch, set_aside })
        }
        Err(error) => {
            session.abandon().await;
            Err(error)
        }
    }
}

async fn fill(
    session: &mut Session,
    lines: &mut Lines,
    schema: i64,
    cluster: &Cluster,
) -> Result<Vec<TableSum>, TransferError> {
    let mut chunk = Chunk::default();
    let mut wanted = Vec::new();
    while let Some(event) = lines.next().await? {
        match event {
            Event::Table(table) => {
                chunk.write(session, schema).await?;
                chunk.table = Some(table);
            }
            Event::Row(row) => {
                chunk.add(row);
                if chunk.is_full() {
                    chunk.write(session, schema).await?;
                }
            }
            Event::End(sums) => {
                chunk.write(session, schema).await?;
                wanted = sums;
            }
            Event::Header(_) | Event::Enclosed(_) => {}
        }
    }
    session.lead(schema, cluster).await?;
    check(session, schema, wanted).await
}

/// Reads everything again.
async fn check(session: &mut Session, schema: i64, wanted: Vec<TableSum>) -> Result<Vec<TableSum>, TransferError> {
    let mut found = Vec::new();
    for ((table, columns), wanted) in tables_at(schema).into_iter().zip(wanted) {
        let mut rows = Sum::default();
        session
            .each_row(table, &columns, async |row| {
                rows.add(&row::line(&row));
                Ok(())
            })
            .await?;
        let sum = rows.of(table.name);
        if sum != wanted {
            let (wanted_rows, found_rows) = (wanted.rows, sum.rows);
            return Err(TransferError::Different { table: sum.table, wanted_rows, found_rows });
        }
        found.push(sum);
    }
    Ok(found)
}

/// Rows of one table that wait to be written.
#[derive(Default)]
struct Chunk {
    table: Option<&'static Table>,
    rows: Vec<Row>,
    bytes: usize,
}

impl Chunk {
    fn add(&mut self, row: Row) {
        self.bytes += row.iter().map(size).sum::<usize>();
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }

    async fn write(&mut self, session: &mut Session, schema: i64) -> Result<(), TransferError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        match self.table {
            Some(table) if !rows.is_empty() => session.write(table, &table.columns_at(schema), rows).await,
            _ => Ok(()),
        }
    }
}

/// About how much a value occupies.
fn size(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    inside + std::mem::size_of::<Value>()
}
