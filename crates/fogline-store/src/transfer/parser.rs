//! Reads a backup line by line and believes nothing: form, order, values, counts and checksums.
//!
//! Must never be asked for a row's meaning. Invariant: [`Event::End`] is only told when every line before it is what was
//! written. Tests: `tests/it/transfer/damaged.rs`.

use serde::{Deserialize, Serialize};

use super::TransferError;
use super::catalogue::{Column, NEWEST_SCHEMA, OLDEST_SCHEMA, TABLES, Table};
use super::enclosed::{Enclosed, MOST};
use super::footer::{Footer, Sum, TableSum};
use super::header::{BadHeader, FORMAT, Header};
use super::row::{self, Row};

/// What a line says.
pub(crate) enum Event {
    /// The first line.
    Header(Header),
    /// A file that travels along.
    Enclosed(Enclosed),
    /// The rows of this table follow.
    Table(&'static Table),
    /// A row.
    Row(Row),
    /// The last line: all is as it was written.
    End(Vec<TableSum>),
}

/// The line before the rows of a table.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heading {
    pub(crate) table: String,
    pub(crate) columns: Vec<String>,
}

impl Heading {
    pub(crate) fn of(table: &Table, columns: &[Column]) -> Self {
        let columns = columns.iter().map(|column| column.name.to_owned()).collect();
        Self { table: table.name.to_owned(), columns }
    }
}

/// The lines that are no rows.
#[derive(Deserialize)]
#[serde(untagged)]
enum Mark {
    Heading(Heading),
    Enclosed(Enclosed),
    Footer(Footer),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Parser {
    /// Lines that were read.
    line: u64,
    whole: Sum,
    /// The tables that the backup must have, once the header is known.
    expected: Option<Vec<(&'static Table, Vec<Column>)>>,
    enclosed: usize,
    /// The table whose rows come now.
    rows: Sum,
    open: bool,
    sums: Vec<TableSum>,
    ended: bool,
}

impl Parser {
    /// Takes the next line, without its end.
    pub(crate) fn line(&mut self, line: &str) -> Result<Event, TransferError> {
        self.line += 1;
        if self.ended {
            return Err(self.damaged("it follows the last one"));
        }
        let Some(expected) = &self.expected else { return self.header(line) };
        if line.starts_with('[') {
            let Some((_, columns)) = expected.get(self.sums.len()).filter(|_| self.open) else {
                return Err(self.damaged("a row stands before its table"));
            };
            let row = row::parse(line, columns).map_err(|detail| self.damaged(&detail))?;
            self.rows.add(line);
            self.whole.add(line);
            return Ok(Event::Row(row));
        }
        let mark = serde_json::from_str(line).map_err(|_| self.damaged("it is no line of a backup"))?;
        let event = match mark {
            Mark::Heading(heading) => self.heading(&heading)?,
            Mark::Enclosed(enclosed) => self.enclosed(enclosed)?,
            Mark::Footer(footer) => return self.footer(footer),
        };
        self.whole.add(line);
        Ok(event)
    }

    /// Says that there are no more lines.
    pub(crate) fn end(&self) -> Result<(), TransferError> {
        if self.ended { Ok(()) } else { Err(self.torn()) }
    }

    /// Where the end came too early.
    pub(crate) fn torn(&self) -> TransferError {
        if self.line == 0 {
            return TransferError::NotABackup { detail: "it is empty, or cut off at its beginning".to_owned() };
        }
        TransferError::Torn { line: self.line }
    }

    /// Where what stands cannot even be read as lines.
    pub(crate) fn unreadable(&self, detail: &str) -> TransferError {
        if self.line == 0 {
            return TransferError::NotABackup { detail: detail.to_owned() };
        }
        TransferError::Damaged { line: self.line + 1, detail: detail.to_owned() }
    }

    fn damaged(&self, detail: &str) -> TransferError {
        TransferError::Damaged { line: self.line, detail: detail.to_owned() }
    }

    fn header(&mut self, line: &str) -> Result<Event, TransferError> {
        let header = Header::parse(line).map_err(|bad| match bad {
            BadHeader::TooNew(found) => {
                TransferError::TooNew { what: "form", found: i64::from(found), known: i64::from(FORMAT) }
            }
            BadHeader::NoBackup(detail) => TransferError::NotABackup { detail },
        })?;
        if header.schema > NEWEST_SCHEMA {
            return Err(TransferError::TooNew { what: "schema", found: header.schema, known: NEWEST_SCHEMA });
        }
        if header.schema < OLDEST_SCHEMA {
            return Err(self.damaged("no backup was ever made of so old a schema"));
        }
        self.expected = Some(tables_at(header.schema));
        self.whole.add(line);
        Ok(Event::Header(header))
    }

    fn enclosed(&mut self, enclosed: Enclosed) -> Result<Event, TransferError> {
        self.enclosed += 1;
        if self.open || !self.sums.is_empty() || self.enclosed > MOST || !enclosed.is_valid() {
            return Err(self.damaged("a file is enclosed where or as none may be"));
        }
        Ok(Event::Enclosed(enclosed))
    }

    fn heading(&mut self, heading: &Heading) -> Result<Event, TransferError> {
        self.close_table();
        let expected = self.expected.as_deref().and_then(|tables| tables.get(self.sums.len()));
        let Some((table, columns)) = expected else {
            return Err(self.damaged("there are more tables than the schema has"));
        };
        let same = columns.iter().map(|column| column.name).eq(heading.columns.iter().map(String::as_str));
        if heading.table != table.name || !same {
            return Err(self.damaged(&format!("table {} was to come, with the columns of its schema", table.name)));
        }
        self.open = true;
        self.rows = Sum::default();
        Ok(Event::Table(table))
    }

    fn close_table(&mut self) {
        let table = self.expected.as_deref().and_then(|tables| tables.get(self.sums.len()));
        if let Some((table, _)) = table.filter(|_| self.open) {
            self.sums.push(self.rows.of(table.name));
            self.open = false;
        }
    }

    fn footer(&mut self, footer: Footer) -> Result<Event, TransferError> {
        self.close_table();
        if self.expected.as_ref().map(Vec::len) != Some(self.sums.len()) {
            return Err(self.damaged("the end comes before the last table"));
        }
        if footer.sha256 != self.whole.sha256() || footer.tables != self.sums {
            return Err(self.damaged("the checksums are not those of what stands above"));
        }
        self.ended = true;
        Ok(Event::End(footer.tables))
    }
}

/// The tables of a schema with their columns, in the order of a backup.
pub(crate) fn tables_at(schema: i64) -> Vec<(&'static Table, Vec<Column>)> {
    TABLES.iter().filter(|table| table.is_in(schema)).map(|table| (table, table.columns_at(schema))).collect()
}
