//! Which columns each record fills, once for every backend.
//!
//! Invariant: the columns are in the order in which PostgreSQL's table has them, because there a row is made of its
//! values by position (see `postgres/commit`). Reading a row back is in `row`.

mod deployments;
mod lines;
mod nodes;
mod replicas;
mod scaling;
mod users;
mod values;

use std::hash::Hash;

use fogline_core::cluster::Edits;

pub(crate) use deployments::Size;
pub(crate) use replicas::{Progress, only_progressed};
pub(crate) use scaling::freed_names;
pub(crate) use values::Values;

/// A table with the columns that are written, the first of which is its key.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
}

/// Something that is a row.
pub(crate) trait Record {
    const TABLE: Table;

    /// Gives the value of each column, in their order.
    fn values(&self, to: &mut impl Values);
}

impl<R: Record> Record for &R {
    const TABLE: Table = R::TABLE;

    fn values(&self, to: &mut impl Values) {
        (*self).values(to);
    }
}

/// Rows that were not there before the batch.
pub(crate) fn added<K: Clone + Eq + Hash, T>(edits: &Edits<K, T>) -> Vec<&T> {
    edits.iter().filter(|(_, edit)| edit.before.is_none()).filter_map(|(_, edit)| edit.after.as_ref()).collect()
}

/// Rows that were there before the batch and still are, each with how it was.
pub(crate) fn changed_from<K: Clone + Eq + Hash, T>(edits: &Edits<K, T>) -> impl Iterator<Item = (&T, &T)> {
    edits.iter().filter_map(|(_, edit)| Some((edit.before.as_ref()?, edit.after.as_ref()?)))
}

/// Rows that were there before the batch and still are.
pub(crate) fn changed<K: Clone + Eq + Hash, T>(edits: &Edits<K, T>) -> Vec<&T> {
    changed_from(edits).map(|(_, after)| after).collect()
}
