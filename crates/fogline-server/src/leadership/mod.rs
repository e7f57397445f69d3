//! Who leads: the campaign for it, and what there is while this server does.
//!
//! The process outlives its terms. HTTP and the agents' endpoint are there from its start to its end; a [`Term`] comes with
//! a take-over and goes with its [`Mandate`], and with it everything that may decide: the cluster in memory, the writer,
//! the sessions of agents. With SQLite there is one term, as long as the process; with PostgreSQL they come and go, and in
//! between this server is a standby. Invariant: nothing acts for a term that is over; what was decided in it and is not
//! committed is refused by the database (its epoch), and what reaches an agent late is refused there (the same epoch).
//!
//! [`campaign`] is the loop, [`tenure`] begins and ends a term, [`mandate`] counts the lease, [`role`] is what others ask,
//! [`witness`] notices a database that has lost something, [`renewing`] keeps the lease during what takes long.
//! Why it is so: `docs/adr/0015-terms-come-and-go.md`. Tests: in the files, `tests/it/leadership`, and with whole processes
//! `crates/fogline/tests/it/leadership.rs`.

mod campaign;
mod keys;
mod mandate;
mod renewing;
mod role;
mod tenure;
mod term;
mod witness;

pub(crate) use campaign::{Campaign, Standing};
pub use keys::fingerprint as keys_fingerprint;
pub(crate) use keys::pin as pin_keys;
pub(crate) use mandate::Mandate;
pub(crate) use renewing::renewing;
pub(crate) use role::{Leader, Leadership, Role};
pub(crate) use term::Term;
pub(crate) use witness::Witness;

#[cfg(test)]
pub(crate) use mandate::tests::mandate as mandate_for_tests;
