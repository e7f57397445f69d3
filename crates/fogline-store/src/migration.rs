//! What `fogline db status` shows.

/// One step of the schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MigrationStatus {
    /// Its number; they run in this order.
    pub version: i64,
    /// Its name, such as `users and nodes`.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}
