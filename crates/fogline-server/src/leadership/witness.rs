//! What this process has seen the database be at, so that a database that knows less is noticed.
//!
//! A copy that was promoted before it had received everything looks whole. Only somebody who remembers can tell that
//! acknowledged changes are missing. Invariant: both figures only grow, and a loss that was seen is shown until the process
//! ends. Tests: below, `tests/it/leadership`.

use std::sync::Mutex;
use std::sync::PoisonError;

use fogline_api::http::LostRevisions;

use crate::telemetry::Telemetry;

/// The memory of one process.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    epoch: u64,
    revision: u64,
    lost: Option<LostRevisions>,
}

impl Witness {
    /// The database was at this revision under this epoch. Says so to everybody where it was further already.
    pub(crate) fn saw(&self, epoch: u64, revision: u64, telemetry: &Telemetry) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if revision < seen.revision {
            let lost = LostRevisions { acknowledged: seen.revision, found: revision };
            tracing::error!(
                acknowledged = lost.acknowledged,
                found = lost.found,
                known_epoch = seen.epoch,
                epoch,
                "the database is older than what this server knows: changes that were acknowledged after revision {} are \
                 not in it. It was replaced by a copy that was behind, or by a backup",
                lost.found
            );
            telemetry.revisions_lost(lost.acknowledged - lost.found);
            // The deepest gap is what an operator has to know; a later one may be a part of it.
            seen.lost = match seen.lost {
                Some(known) if known.found <= lost.found => Some(known),
                _ => Some(lost),
            };
            // From here on the database is what it is.
            seen.revision = revision;
        }
        seen.revision = seen.revision.max(revision);
        seen.epoch = seen.epoch.max(epoch);
    }

    /// The highest epoch: a take-over must get a higher one, whatever the database remembers.
    pub(crate) fn epoch(&self) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).epoch
    }

    /// What was found missing, if anything ever was.
    pub(crate) fn lost(&self) -> Option<LostRevisions> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_knows_less_is_noticed_once_and_shown_for_ever() {
        let (witness, telemetry) = (Witness::default(), Telemetry::new());
        for revision in [5, 9, 9, 12] {
            witness.saw(3, revision, &telemetry);
        }
        assert_eq!((witness.lost(), witness.epoch()), (None, 3));
        witness.saw(2, 7, &telemetry);
        let lost = Some(LostRevisions { acknowledged: 12, found: 7 });
        assert_eq!((witness.lost(), witness.epoch()), (lost, 3));
        for revision in [7, 8, 20] {
            witness.saw(4, revision, &telemetry);
        }
        assert_eq!((witness.lost(), witness.epoch()), (lost, 4));
        let figures = telemetry.render();
        assert!(figures.contains("fogline_lost_revisions_total 5"), "{figures}");
    }
}
