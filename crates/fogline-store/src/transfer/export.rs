//! From a database to lines, all of one moment.

use std::fs::File;

use tokio::sync::mpsc;

use super::TransferError;
use super::enclosed::Enclosed;
use super::footer::{Footer, Sum, TableSum};
use super::header::Header;
use super::parser::{Heading, tables_at};
use super::row;
use super::sink::Sink;
use super::snapshot::Snapshot;
use crate::config::StoreConfig;

/// A database that is read, beside a server that works with it or without one.
pub struct Source {
    snapshot: Snapshot,
    /// Of the moment that is read, once there is one.
    header: Option<Header>,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Of what.
    pub header: Header,
    /// How much.
    pub tables: Vec<TableSum>,
}

impl Source {
    /// Opens a database to read it. Nothing in it is changed, and no server is kept from writing.
    ///
    /// # Errors
    /// When there is none, or it is damaged, too new, or cannot be reached.
    pub async fn open(config: &StoreConfig) -> Result<Self, TransferError> {
        Ok(Self { snapshot: Snapshot::open(config).await?, header: None })
    }

    /// Whether somebody works with the database while it is read.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        self.snapshot.is_in_use()
    }

    /// What a backup will be of, before anything of it is written: this is the moment that it is of.
    ///
    /// # Errors
    /// When there is no cluster, or the database fails.
    pub async fn header(&mut self) -> Result<&Header, TransferError> {
        let header = match self.header.take() {
            Some(header) => header,
            None => self.snapshot.begin().await?,
        };
        Ok(self.header.insert(header))
    }

    /// Writes a backup of this moment, or of that of [`Self::header`], with these files. What was written is in
    /// `file`, and not yet on the disk.
    ///
    /// # Errors
    /// When there is no cluster, a row is damaged, the database fails, or `file` takes no more.
    pub async fn back_up(self, enclosed: &[Enclosed], file: File) -> Result<(Taken, File), TransferError> {
        let mut sink = Sink::file(file);
        let taken = self.export(enclosed, &mut sink).await?;
        let file = sink.finish().await?.expect("a sink that was given a file gives it back");
        Ok((taken, file))
    }

    /// Sends a backup of this moment to an import.
    pub(super) async fn send(self, chunks: mpsc::Sender<String>) -> Result<(), TransferError> {
        let mut sink = Sink::pipe(chunks);
        self.export(&[], &mut sink).await?;
        sink.finish().await.map(|_| ())
    }

    async fn export(mut self, enclosed: &[Enclosed], to: &mut Sink) -> Result<Taken, TransferError> {
        let exported = match self.header().await.cloned() {
            Ok(header) => lines(&mut self.snapshot, header, enclosed, to).await,
            Err(error) => Err(error),
        };
        self.snapshot.close().await;
        exported
    }
}

async fn lines(
    snapshot: &mut Snapshot,
    header: Header,
    enclosed: &[Enclosed],
    to: &mut Sink,
) -> Result<Taken, TransferError> {
    let mut whole = Sum::default();
    let mut tables = Vec::new();
    put(&header, &mut whole, to).await?;
    for file in enclosed {
        put(file, &mut whole, to).await?;
    }
    for (table, columns) in tables_at(header.schema) {
        put(&Heading::of(table, &columns), &mut whole, to).await?;
        let mut rows = Sum::default();
        snapshot
            .each_row(table, &columns, async |row| {
                let line = row::line(&row);
                rows.add(&line);
                whole.add(&line);
                to.line(&line).await
            })
            .await?;
        tables.push(rows.of(table.name));
    }
    let footer = Footer { tables: tables.clone(), sha256: whole.sha256() };
    put(&footer, &mut whole, to).await?;
    Ok(Taken { header, tables })
}

async fn put(line: &impl serde::Serialize, whole: &mut Sum, to: &mut Sink) -> Result<(), TransferError> {
    let line = serde_json::to_string(line).expect("text keys and whole numbers only");
    whole.add(&line);
    to.line(&line).await
}
