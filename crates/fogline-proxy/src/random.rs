//! Random picks: one small generator a thread, seeded by the system. Not for secrets.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = Cell::new(seed());
}

fn seed() -> u64 {
    // Without a source of randomness every thread would pick alike, which is bad for balance and harmless otherwise.
    getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15) | 1
}

/// A number below `bound`; 0 where `bound` is 0.
pub(crate) fn below(bound: usize) -> usize {
    let next = STATE.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    STATE.set(next);
    let high = u128::from(next ^ (next >> 29)) * (bound as u128);
    usize::try_from(high >> 64).unwrap_or(0)
}
