//! The columns of deployments: what each shows, and how rows are ordered by it. Tests: in `view.rs`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::snapshot::Row;
use crate::output::clean;

/// One column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    Name,
    Status,
    Ready,
    Requests,
    Open,
    P95,
    Errors,
    Cpu,
}

impl Column {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] =
        [Self::Name, Self::Status, Self::Ready, Self::Requests, Self::Open, Self::P95, Self::Errors, Self::Cpu];

    /// What stands above it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Status => "STATUS",
            Self::Ready => "READY",
            Self::Requests => "REQ/S",
            Self::Open => "OPEN",
            Self::P95 => "P95",
            Self::Errors => "ERRORS",
            Self::Cpu => "CPU",
        }
    }

    /// How wide it is on a screen; nothing for the one that takes what is left.
    pub(super) const fn width(self) -> Option<u16> {
        match self {
            Self::Name => None,
            Self::Status => Some(9),
            Self::Ready | Self::Requests | Self::P95 | Self::Errors => Some(8),
            Self::Open | Self::Cpu => Some(6),
        }
    }

    /// Those that have room on a screen that is so wide: the last ones go first, the name stays.
    pub(super) fn fitting(width: u16) -> Vec<Self> {
        const NAME: u16 = 12;
        let mut left = width.saturating_sub(NAME);
        let fits = |column: &Self| match column.width() {
            None => true,
            Some(needed) => {
                let fits = left > needed;
                left = if fits { left - needed - 1 } else { 0 };
                fits
            }
        };
        Self::ALL.into_iter().filter(fits).collect()
    }

    /// What it shows of a row.
    pub fn text(self, row: &Row) -> Cow<'_, str> {
        let known = |value: Option<String>| Cow::Owned(value.unwrap_or_else(|| "-".to_owned()));
        match self {
            Self::Name => clean(&row.name),
            Self::Status => Cow::Borrowed(row.status.as_str()),
            Self::Ready => Cow::Owned(format!("{}/{}", row.ready, row.target)),
            Self::Requests => known(row.requests_per_s.map(rate)),
            Self::Open => known(row.open.map(rate)),
            Self::P95 => known(row.p95_ms.map(duration)),
            Self::Errors => known(row.error_percent.map(|percent| format!("{percent:.1}%"))),
            Self::Cpu => known(row.cpu_percent.map(|percent| format!("{percent:.0}%"))),
        }
    }

    /// Names from A, everything else from the most; what is not known comes last.
    pub fn order(self, one: &Row, other: &Row) -> Ordering {
        let most = |one: Option<f64>, other: Option<f64>| {
            other.unwrap_or(f64::NEG_INFINITY).total_cmp(&one.unwrap_or(f64::NEG_INFINITY))
        };
        let order = match self {
            Self::Name => Ordering::Equal,
            Self::Status => one.status.as_str().cmp(other.status.as_str()),
            Self::Ready => other.ready.cmp(&one.ready),
            Self::Requests => most(one.requests_per_s, other.requests_per_s),
            Self::Open => most(one.open, other.open),
            Self::P95 => most(one.p95_ms, other.p95_ms),
            Self::Errors => most(one.error_percent, other.error_percent),
            Self::Cpu => most(one.cpu_percent, other.cpu_percent),
        };
        order.then_with(|| one.name.cmp(&other.name)).then_with(|| one.id.cmp(&other.id))
    }
}

fn rate(per_s: f64) -> String {
    if per_s >= 100.0 { format!("{per_s:.0}") } else { format!("{per_s:.1}") }
}

fn duration(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.0} s", ms / 1_000.0) } else { format!("{ms:.0} ms") }
}
