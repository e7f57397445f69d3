//! A series: metrics over time, supplied or recorded.
//!
//! Invariant: it has at least two rows, their times rise, and every row has a cell for every metric.

use std::time::Duration;

use crate::time::Timestamp;

/// The metrics of one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// When.
    pub at: Timestamp,
    /// A cell for each metric; nothing where it is empty.
    pub values: Vec<Option<f64>>,
}

/// Metrics over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    metrics: Vec<String>,
    rows: Vec<Row>,
    interval: Duration,
}

/// Why rows are no series. `row` counts from 0.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SeriesError {
    /// Nothing happens in it.
    #[error("it has {rows} rows, and two are the fewest")]
    TooShort {
        /// How many there are.
        rows: usize,
    },
    /// A time that does not rise.
    #[error("the time does not rise")]
    NotRising {
        /// Where.
        row: usize,
    },
    /// A row of another length.
    #[error("it has {cells} values, where there are {metrics} metrics")]
    Cells {
        /// Where.
        row: usize,
        /// How many there are.
        cells: usize,
        /// How many there should be.
        metrics: usize,
    },
}

impl Series {
    /// A series of these metrics.
    ///
    /// # Errors
    /// When the rows are too few, do not rise, or are of different lengths.
    pub fn new(metrics: Vec<String>, rows: Vec<Row>) -> Result<Self, SeriesError> {
        if rows.len() < 2 {
            return Err(SeriesError::TooShort { rows: rows.len() });
        }
        if let Some(row) = rows.iter().position(|row| row.values.len() != metrics.len()) {
            return Err(SeriesError::Cells { row, cells: rows[row].values.len(), metrics: metrics.len() });
        }
        if let Some(before) = rows.windows(2).position(|pair| pair[1].at <= pair[0].at) {
            return Err(SeriesError::NotRising { row: before + 1 });
        }
        let mut steps: Vec<Duration> = rows.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
        steps.sort_unstable();
        let interval = steps[steps.len() / 2];
        Ok(Self { metrics, rows, interval })
    }

    /// Names of the metrics, in the order of the cells.
    #[must_use]
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// The rows, in the order of time.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The usual time between two rows: their median.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The first moment.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.rows[0].at
    }

    /// From the first moment to the last.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.rows[self.rows.len() - 1].at.since(self.start())
    }

    /// Where a metric's cells are.
    #[must_use]
    pub fn column(&self, metric: &str) -> Option<usize> {
        self.metrics.iter().position(|name| name == metric)
    }
}
