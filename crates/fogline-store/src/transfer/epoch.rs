//! The epoch of a restored database: above any that an agent may have obeyed.
//!
//! Agents refuse an epoch lower than one that they have obeyed. After the backup was taken its cluster went on, and took
//! over again and again; the backup does not know how often. See `docs/adr/0016`. Invariant: never lower than the backup's.

use super::TransferError;

/// A million take-overs: a server that starts every second does not get there in a week, and 4,096 restores fit into
/// the lower half; a promoted copy of PostgreSQL adds to the upper one (see the take-over there).
const STEP: u64 = 1 << 20;

/// The highest that leaves room for take-overs in a signed column.
pub(crate) const HIGHEST: u64 = 1 << 62;

/// What the leader's row gets. The first take-over is one higher.
pub(crate) fn raised(backup: u64, above: Option<u64>) -> Result<u64, TransferError> {
    let above = above.unwrap_or(0).max(backup);
    let next = (above / STEP + 1).checked_mul(STEP).filter(|next| *next <= HIGHEST);
    next.ok_or(TransferError::NoEpochLeft { above, highest: HIGHEST })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_above_both() {
        let raised = |backup, above| raised(backup, above).expect("there is one");
        assert_eq!(raised(1, None), STEP);
        assert_eq!(raised(STEP - 1, None), STEP);
        assert_eq!(raised(STEP, None), 2 * STEP, "restored again from a backup of what was restored");
        assert_eq!(raised(7, Some(3)), STEP);
        assert_eq!(raised(7, Some(5 * STEP + 9)), 6 * STEP);
        assert_eq!(raised((2 << 32) + 5, None), (2 << 32) + STEP);
    }

    #[test]
    fn there_is_an_end() {
        for above in [HIGHEST, u64::MAX] {
            let error = super::raised(1, Some(above)).expect_err("none left");
            assert!(error.to_string().contains(&above.to_string()), "{error}");
        }
    }
}
