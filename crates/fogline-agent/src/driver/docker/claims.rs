//! Who has a container's output in hand: those who read it, or the one that keeps it and removes the container.
//!
//! Must never make a sweep wait for a reader, who may be slow: what is read is left for later, and looked at again when
//! its last reader is done. Invariant: while a container is read its output is not kept and it is not removed, so no
//! reader sees a line twice, or loses the container on the way. Tests: `tests/it/driver/docker/reading.rs`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Inner;

/// The containers that somebody has in hand, by the engine's ids.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<String, Claim>>);

enum Claim {
    Read {
        readers: u32,
        /// Somebody wanted to remove it meanwhile.
        is_wanted: bool,
    },
    Removed,
}

impl Claims {
    /// Nobody panics while holding it.
    fn all(&self) -> MutexGuard<'_, HashMap<String, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A container that is being read, until this is dropped. Does not keep the driver.
pub(super) struct Reading {
    inner: Weak<Inner>,
    id: String,
}

/// Once nobody is about to remove it, which takes no longer than the engine may for a few calls. It may be gone then.
pub(super) async fn read(inner: &Arc<Inner>, id: &str) -> Reading {
    let mut changed = inner.changed.subscribe();
    while !begin_reading(&inner.claims, id) {
        changed.changed().await.expect("its sender is borrowed here");
    }
    Reading { inner: Arc::downgrade(inner), id: id.to_owned() }
}

fn begin_reading(claims: &Claims, id: &str) -> bool {
    match claims.all().entry(id.to_owned()).or_insert(Claim::Read { readers: 0, is_wanted: false }) {
        Claim::Read { readers, .. } => *readers += 1,
        Claim::Removed => return false,
    }
    true
}

impl Drop for Reading {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut claims = inner.claims.all();
        let Some(Claim::Read { readers, is_wanted }) = claims.get_mut(&self.id) else { return };
        *readers -= 1;
        if *readers > 0 {
            return;
        }
        let is_wanted = *is_wanted;
        claims.remove(&self.id);
        drop(claims);
        if is_wanted {
            inner.look.notify_one();
        }
    }
}

/// A container that is being removed, until this is dropped.
pub(super) struct Removing<'a> {
    inner: &'a Inner,
    id: &'a str,
}

/// Nothing where it is read, or another removes it.
pub(super) fn remove<'a>(inner: &'a Inner, id: &'a str) -> Option<Removing<'a>> {
    match inner.claims.all().entry(id.to_owned()) {
        Entry::Vacant(free) => {
            free.insert(Claim::Removed);
            Some(Removing { inner, id })
        }
        Entry::Occupied(mut taken) => {
            if let Claim::Read { is_wanted, .. } = taken.get_mut() {
                *is_wanted = true;
            }
            None
        }
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.inner.claims.all().remove(self.id);
        // For those who wait to read it.
        self.inner.changed.send_modify(|count| *count += 1);
    }
}
