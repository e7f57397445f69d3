//! Mistakes put in on purpose: a simulation that does not find them proves nothing.

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The server answers people before their change is durable.
    AnswersBeforeTheCommit,
    /// The server does not take back in memory what the disk has refused.
    KeepsWhatWasNotCommitted,
    /// An agent that restarts does not look at what still runs.
    ForgetsToAdopt,
}
