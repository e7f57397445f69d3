//! What can be wrong with a field on the wire, and the checks that several messages share.

use std::collections::BTreeMap;
use std::str::FromStr;

use fogline_core::image_digest::ImageDigest;
use fogline_core::quantity::{CpuMillis, Resources};
use fogline_core::spec::Runtime;

use super::generated as wire;

/// A message that cannot be understood. Whoever gets it refuses the message and does nothing of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// A message without content: of a newer version, or damaged.
    #[error("a message of no known kind: the other side may be of a newer version")]
    UnknownMessage,
    /// Something that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// An enum's value that is unspecified or unknown.
    #[error("{field} is {value}, which stands for nothing that this version knows")]
    UnknownValue {
        /// Which field.
        field: &'static str,
        /// Its number.
        value: i32,
    },
    /// Text that is no id.
    #[error("{field} is {value:?}, which is no UUID")]
    BadId {
        /// Which field.
        field: &'static str,
        /// What was there, shortened.
        value: String,
    },
    /// A number outside of what makes sense.
    #[error("{field} is {value}; accepted: {accepted}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What was there.
        value: String,
        /// What would do.
        accepted: &'static str,
    },
    /// A part of a spec that cannot be read.
    #[error("{field} cannot be read: {why}")]
    BadSpec {
        /// Which field.
        field: &'static str,
        /// Why not.
        why: String,
    },
    /// The same thing twice in one list.
    #[error("{field} names {value} twice")]
    Twice {
        /// Which list.
        field: &'static str,
        /// What is there twice.
        value: String,
    },
    /// A replica that should run, without what it is started from.
    #[error(
        "replica {replica_id} should run, but its template (deployment {deployment_id}, revision {revision}) is not in the list"
    )]
    NoTemplate {
        /// The replica.
        replica_id: String,
        /// Its deployment.
        deployment_id: String,
        /// The revision that is missing.
        revision: u32,
    },
}

/// How much of a broken value an error shows.
const SHOWN_CHARS: usize = 64;

/// Reads an id.
pub(super) fn id<T: FromStr>(field: &'static str, text: &str) -> Result<T, WireError> {
    text.parse().map_err(|_| WireError::BadId { field, value: text.chars().take(SHOWN_CHARS).collect() })
}

/// Unwraps a sub-message that must be there.
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

/// Text that must not be empty.
pub(super) fn filled(field: &'static str, text: String) -> Result<String, WireError> {
    if text.is_empty() { Err(WireError::Missing { field }) } else { Ok(text) }
}

/// Text that is empty where there is nothing to say.
pub(super) fn optional(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// The longest text of a report.
pub const MAX_REPORT_TEXT_BYTES: usize = 4_096;

/// Cuts such text at a character's border.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_REPORT_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Text from outside that goes into a row.
pub(super) fn bounded(field: &'static str, text: String) -> Result<Option<String>, WireError> {
    if text.len() > MAX_REPORT_TEXT_BYTES {
        let value = format!("{} bytes long", text.len());
        return Err(WireError::OutOfRange { field, value, accepted: "at most 4096 bytes" });
    }
    Ok(optional(text))
}

/// An image's digest, empty where it is not known. Whoever sends anything else is not believed in anything.
pub(super) fn digest(field: &'static str, text: &str) -> Result<Option<ImageDigest>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let value = format!("{:?}", text.chars().take(SHOWN_CHARS).collect::<String>());
        WireError::OutOfRange { field, value, accepted: "sha256: and 64 digits of 0-9a-f" }
    })
}

/// A port, 0 standing for none.
pub(super) fn port(field: &'static str, number: u32) -> Result<Option<u16>, WireError> {
    match u16::try_from(number) {
        Ok(0) => Ok(None),
        Ok(port) => Ok(Some(port)),
        Err(_) => Err(WireError::OutOfRange { field, value: number.to_string(), accepted: "0 (none) to 65535" }),
    }
}

/// A share of something, in percent.
pub(super) fn percent(field: &'static str, value: f32) -> Result<f32, WireError> {
    if (0.0..=100.0).contains(&value) {
        Ok(value)
    } else {
        Err(WireError::OutOfRange { field, value: value.to_string(), accepted: "0 to 100" })
    }
}

/// A map in the order of its keys, as core keeps it.
pub(super) fn ordered(map: std::collections::HashMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().collect()
}

/// A map as the generated code wants it.
pub(super) fn unordered(map: &BTreeMap<String, String>) -> std::collections::HashMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl From<Resources> for wire::Resources {
    fn from(resources: Resources) -> Self {
        Self {
            cpu_millis: resources.cpu_millis.0,
            memory_mb: resources.memory_mb,
            gpu_units: resources.gpu_units,
            storage_gb: resources.storage_gb,
        }
    }
}

impl From<wire::Resources> for Resources {
    fn from(resources: wire::Resources) -> Self {
        Self {
            cpu_millis: CpuMillis(resources.cpu_millis),
            memory_mb: resources.memory_mb,
            gpu_units: resources.gpu_units,
            storage_gb: resources.storage_gb,
        }
    }
}

impl From<Runtime> for wire::Runtime {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Docker => Self::Docker,
            Runtime::Process => Self::Process,
        }
    }
}

/// Reads a runtime.
pub(super) fn runtime(field: &'static str, value: i32) -> Result<Runtime, WireError> {
    match wire::Runtime::try_from(value) {
        Ok(wire::Runtime::Docker) => Ok(Runtime::Docker),
        Ok(wire::Runtime::Process) => Ok(Runtime::Process),
        Ok(wire::Runtime::Unspecified) | Err(_) => Err(WireError::UnknownValue { field, value }),
    }
}
