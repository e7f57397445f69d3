//! Why a writer ends by itself, and whether that is the end of the server.

use fogline_core::cluster::LoadError;
use fogline_store::StoreError;

/// Why the writer has ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error(
        "another server has taken over the database: this one has stepped down. Nothing that it acknowledged is lost"
    )]
    NotLeader,
    #[error(
        "the database's disk failed: {0}. Nothing that was acknowledged is lost, but nothing more can be saved: check the \
         disk, then start again"
    )]
    Disk(String),
    #[error("the database could not be loaded again after an error: {0}")]
    Store(#[from] StoreError),
    #[error("of {writes} writes in a row it is not known whether they landed: {detail}")]
    Unknown { writes: u32, detail: String },
    #[error("the database contradicts itself: {0}. Restore a backup, and please report this")]
    Load(#[from] LoadError),
    #[error("the database refuses what must be written: {0}. Please report this")]
    Contradiction(String),
    #[error("the lease could not be renewed in time")]
    LeaseOver,
    #[error(
        "the database is at revision {found}, and revision {acknowledged} was acknowledged: it was replaced by a copy that \
         was behind"
    )]
    Regressed { acknowledged: u64, found: u64 },
    #[error("the writer panicked: {0}")]
    Broken(String),
}

impl Stopped {
    /// Whether a later term may do better, here or on another server.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::NotLeader
            | Self::LeaseOver
            | Self::Unknown { .. }
            | Self::Regressed { .. }
            | Self::Store(StoreError::Unavailable { .. } | StoreError::Full) => true,
            Self::Disk(_) | Self::Store(_) | Self::Load(_) | Self::Contradiction(_) | Self::Broken(_) => false,
        }
    }
}
