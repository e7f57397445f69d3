//! The wire between servers and agents: messages are late, and may be lost, doubled or overtaken.
//!
//! Worse than the real one, where a stream keeps its order: whatever survives here does not lean on that.

use crate::rng::Rng;

/// How bad the wire is.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Shortest and longest time on the way.
    pub delay_us: (u64, u64),
    /// How many messages in a hundred are lost.
    pub lost_percent: u64,
    /// How many in a hundred arrive twice.
    pub doubled_percent: u64,
    /// How many in a hundred take far longer, so that later ones overtake them.
    pub straggling_percent: u64,
}

/// A wire on an ordinary day.
pub const CALM: Network =
    Network { delay_us: (200, 3_000), lost_percent: 0, doubled_percent: 0, straggling_percent: 0 };

/// A wire that does all of it to every tenth message.
pub const ROUGH: Network =
    Network { delay_us: (200, 50_000), lost_percent: 10, doubled_percent: 10, straggling_percent: 10 };

impl Network {
    /// When copies of a message arrive, as delays. None: it is lost.
    pub fn arrivals_us(&self, rng: &mut Rng) -> Vec<u64> {
        if rng.percent(self.lost_percent) {
            return Vec::new();
        }
        let copies = if rng.percent(self.doubled_percent) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                let ordinary = rng.between(self.delay_us.0, self.delay_us.1);
                if rng.percent(self.straggling_percent) { ordinary + rng.between(0, 2_000_000) } else { ordinary }
            })
            .collect()
    }
}
