//! The first line of a backup: what it is of, and who may read it.

use fogline_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What the first line says to those who look for it.
const KIND: &str = "fogline-backup";

/// The newest form of a backup that this program reads, and the one that it writes.
pub(crate) const FORMAT: u32 = 1;

/// What a backup is of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    kind: String,
    /// The form of the file.
    pub format: u32,
    /// The newest migration that the database had.
    pub schema: i64,
    /// The cluster, for ever.
    pub cluster_id: String,
    /// The epoch of the last take-over before the backup.
    pub epoch: u64,
    /// The last commit that is in it.
    pub revision: u64,
    /// Which keys the servers of the cluster have.
    pub keys_fingerprint: Option<String>,
    /// When, by the database's clock.
    pub taken_at: Timestamp,
    /// `sqlite` or `postgresql`.
    pub taken_from: String,
    /// The version of the program that made it.
    pub program: String,
}

/// The part of it that every form has: read first, so that a newer one is known for what it is.
#[derive(Deserialize)]
struct Form {
    kind: String,
    format: u32,
}

/// Why a first line cannot be read.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum BadHeader {
    /// It is of another form, a newer one.
    TooNew(u32),
    /// It is of no form at all.
    NoBackup(String),
}

/// What the leader's row says that outlives the leader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cluster {
    pub(crate) cluster_id: String,
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
    pub(crate) keys_fingerprint: Option<String>,
}

impl Header {
    pub(crate) fn new(schema: i64, cluster: Cluster, taken_at: Timestamp, taken_from: &str) -> Self {
        Self {
            kind: KIND.to_owned(),
            format: FORMAT,
            schema,
            cluster_id: cluster.cluster_id,
            epoch: cluster.epoch,
            revision: cluster.revision,
            keys_fingerprint: cluster.keys_fingerprint,
            taken_at,
            taken_from: taken_from.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub(crate) fn parse(line: &str) -> Result<Self, BadHeader> {
        let no_backup = |error: serde_json::Error| BadHeader::NoBackup(error.to_string());
        let form: Form = serde_json::from_str(line).map_err(no_backup)?;
        if form.kind != KIND {
            return Err(BadHeader::NoBackup(format!("it is a {:?}", form.kind.chars().take(40).collect::<String>())));
        }
        if form.format > FORMAT {
            return Err(BadHeader::TooNew(form.format));
        }
        serde_json::from_str(line).map_err(no_backup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_its_own_inverse_and_a_newer_one_is_known() {
        let cluster = Cluster {
            cluster_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            epoch: 1 << 40,
            revision: 7,
            keys_fingerprint: None,
        };
        let header = Header::new(5, cluster, Timestamp::from_micros(1_764_064_800_000_001), "sqlite");
        let line = serde_json::to_string(&header).expect("JSON");
        assert_eq!(Header::parse(&line), Ok(header));
        let newer = line.replace("\"format\":1", "\"format\":2,\"shape\":\"other\"").replace("\"epoch\"", "\"era\"");
        assert_eq!(Header::parse(&newer), Err(BadHeader::TooNew(2)));
        for text in ["", "{}", "[]", "SQLite format 3", "{\"kind\":\"tar\",\"format\":1}", &line[..60]] {
            assert!(matches!(Header::parse(text), Err(BadHeader::NoBackup(_))), "{text}");
        }
    }
}
