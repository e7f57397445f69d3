//! Copies that follow a cluster, fall behind, and take over.
//!
//! Invariant: after `pause_replication` nothing that the primary commits arrives, not even when the copy is promoted: it
//! is then a stale one, such as a restore leaves behind. Tests: `tests/it/postgres.rs`.

use super::Postgres;
use super::cluster::Cluster;
use crate::patience::wait_for;

impl Postgres {
    /// A copy on another port that follows this one by streaming, a moment behind. It answers reads only. Databases made
    /// before or after are in it; reach one with [`Database::url_at`](super::Database::url_at) and this one's `addr`.
    #[must_use]
    pub fn standby(&self) -> Self {
        let primary = self.cluster().access().clone();
        let copy = Self::of(Cluster::copy_of(&primary));
        wait_for("the standby to follow", || {
            (copy.sql("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "1").then_some(())
        });
        copy
    }

    /// Waits until this standby shows everything that `primary` has committed up to now.
    ///
    /// # Panics
    /// When it does not get there.
    pub fn catch_up_with(&self, primary: &Self) {
        let target = primary.sql("SELECT pg_current_wal_flush_lsn()");
        wait_for("the standby to catch up", || {
            (self.sql(&format!("SELECT pg_last_wal_replay_lsn() >= '{target}'::pg_lsn")) == "t").then_some(())
        });
    }

    /// From here on this standby receives nothing, until [`Postgres::resume_replication`].
    ///
    /// # Panics
    /// When it is no standby.
    pub fn pause_replication(&self) {
        // Not `pg_wal_replay_pause`: what had arrived would be replayed when it is promoted.
        let source = self.sql("SHOW primary_conninfo");
        assert!(!source.is_empty(), "this PostgreSQL follows none, or was paused before");
        *self.followed() = Some(source);
        self.sql("ALTER SYSTEM SET primary_conninfo = ''");
        self.sql("SELECT pg_reload_conf()");
        wait_for("the standby to stop receiving", || {
            (self.sql("SELECT count(*) FROM pg_stat_wal_receiver") == "0"
                && self.sql("SHOW primary_conninfo").is_empty())
            .then_some(())
        });
    }

    /// Follows again, and waits for the stream.
    ///
    /// # Panics
    /// When it was not paused.
    pub fn resume_replication(&self) {
        let source = self.followed().take().expect("this PostgreSQL was not paused");
        self.sql(&format!("ALTER SYSTEM SET primary_conninfo = '{}'", source.replace('\'', "''")));
        self.sql("SELECT pg_reload_conf()");
        wait_for("the standby to follow again", || {
            (self.sql("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "1").then_some(())
        });
    }

    /// Makes this standby a primary, on a timeline of its own. The other one is not told.
    ///
    /// # Panics
    /// When it is none.
    pub fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote(true, 60)"), "t", "this PostgreSQL is no standby");
        wait_for("the standby to accept writes", || (self.sql("SELECT pg_is_in_recovery()") == "f").then_some(()));
    }
}
