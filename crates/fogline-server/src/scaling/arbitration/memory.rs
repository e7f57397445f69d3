//! What of a target's memory an arbiter takes over, when others have committed something.
//!
//! Must never make anything happen earlier than it would have.

use std::sync::Arc;

use fogline_core::id::PolicyId;
use fogline_core::scaling::Policy;
use fogline_core::scaling::state::{Memory, State};

/// What of a target's memory is these policies'.
pub(super) fn own(policies: &[Policy], memory: &Arc<Memory>) -> Arc<Memory> {
    let is_own = |id: &PolicyId| policies.iter().any(|policy| policy.id() == *id);
    if memory.policies.keys().all(is_own) {
        return Arc::clone(memory);
    }
    let mut own = Memory::clone(memory);
    own.policies.retain(|id, _| is_own(id));
    Arc::new(own)
}

/// Whether the count was changed, or is held, since `before`.
pub(super) fn was_acted_on(memory: &Memory, before: &Memory) -> bool {
    memory.changes.last() != before.changes.last()
        || memory.last_change != before.last_change
        || memory.held != before.held
}

/// What a shadow knows of the real target: what was done to it, and who is paused.
pub(super) fn follow(memory: &mut Memory, real: &Memory) {
    (memory.last_up, memory.last_change) = (real.last_up, real.last_change);
    memory.changes.clone_from(&real.changes);
    memory.held.clone_from(&real.held);
    for (id, policy) in &real.policies {
        memory.policies.entry(*id).or_default().paused_until = policy.paused_until;
    }
}

/// Clocks that are in the row as we have them go on with the samples that were counted since.
pub(super) fn keep_clocks(memory: &mut Memory, ours: &Memory) {
    for (id, policy) in &mut memory.policies {
        let Some(known) = ours.policies.get(id) else { continue };
        for (key, clock) in &mut policy.clocks {
            if let Some(known) = known.clocks.get(key).filter(|known| known.holding_since == clock.holding_since) {
                clock.last = clock.last.max(known.last);
            }
        }
    }
}

/// A decision that nobody tried to carry out: a time of day that fired and a hold that began have not happened.
pub(super) fn untouched(mut state: State, before: &State) -> State {
    state.memory.held.clone_from(&before.memory.held);
    for (id, policy) in &mut state.memory.policies {
        policy.schedules = before.memory.policies.get(id).map(|known| known.schedules.clone()).unwrap_or_default();
    }
    state
}
