//! The ranges a spec must keep. One table of them, read by every door; each error names field, value and what would do.
//!
//! Here is what a spec is as a whole; each block that it may have is checked in the block's own file.
//! Invariant: [`DeploymentSpec::validate`] reports every field at fault, not the first one. Tests: below, and the table
//! of bad input in the end-to-end tests.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeploymentSpec, Runtime};
use crate::image_digest::ImageDigest;
use crate::quantity::Resources;

/// The smallest number of replicas that a person may ask for; only idleness goes to zero.
pub const MIN_REPLICAS: u32 = 1;
/// The largest number of replicas of one deployment.
pub const MAX_REPLICAS: u32 = 100;

pub(super) const NAME_CHARS: RangeInclusive<usize> = 1..=100;
const IMAGE_CHARS: RangeInclusive<usize> = 1..=500;
const CPU_MILLIS: RangeInclusive<u32> = 500..=32_000;
const MEMORY_MB: RangeInclusive<u32> = 512..=65_536;
const GPU_UNITS: RangeInclusive<u32> = 0..=8;
const STORAGE_GB: RangeInclusive<u32> = 1..=1_000;
const HOST_PORT: RangeInclusive<u16> = 1_024..=65_535;
const WAIT_S: RangeInclusive<u32> = 0..=3_600;
const MAX_ARGUMENTS: usize = 256;
const MAX_ENV: usize = 256;
const MAX_TEXT_BYTES: usize = 32 * 1_024;

/// One field that cannot be accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Path of the field, such as `resources.cpu`.
    pub field: String,
    /// What is wrong with it, with the value.
    pub message: String,
    /// What would be accepted.
    pub accepted: String,
}

impl FieldError {
    /// An error on `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), accepted: accepted.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; accepted: {}", self.field, self.message, self.accepted)
    }
}

/// Checks a number of replicas that a person asked for.
///
/// # Errors
/// Outside 1 to 100.
pub fn validate_replicas(field: &str, replicas: i64) -> Result<u32, FieldError> {
    u32::try_from(replicas).ok().filter(|count| (MIN_REPLICAS..=MAX_REPLICAS).contains(count)).ok_or_else(|| {
        FieldError::new(field, format!("{replicas} is out of range"), format!("{MIN_REPLICAS} to {MAX_REPLICAS}"))
    })
}

/// Checks a user's name: 1 to 64 letters, digits, `-`, `_`, `.` and `@`.
///
/// # Errors
/// Says what a name may have.
pub fn validate_username(field: &str, name: &str) -> Result<(), FieldError> {
    let fits = (1..=64).contains(&name.chars().count())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
    if fits {
        return Ok(());
    }
    Err(FieldError::new(field, format!("{:?} is no user name", shown(name)), "1 to 64 letters, digits, - _ . and @"))
}

/// Checks a command that is to be run in a replica: 1 to 256 parts of at most 32 KiB.
///
/// # Errors
/// Every part at fault.
pub fn validate_command(field: &str, command: &[String]) -> Result<(), Vec<FieldError>> {
    let mut check = Check { errors: Vec::new() };
    check.that(!command.is_empty(), field, || "is empty".to_owned(), "a program and its arguments");
    check.command(field, command);
    if check.errors.is_empty() { Ok(()) } else { Err(check.errors) }
}

impl DeploymentSpec {
    /// Checks every field.
    ///
    /// # Errors
    /// All the fields that cannot be accepted.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check { errors: Vec::new() };
        self.validate_identity(&mut check);
        self.validate_workload(&mut check);
        self.validate_container(&mut check);
        self.validate_resources(&mut check);
        self.validate_health(&mut check);
        self.validate_warm_up(&mut check);
        self.validate_routes(&mut check);
        self.validate_traffic(&mut check);
        self.validate_placement(&mut check);
        check.range("grace_s", self.grace_s, &WAIT_S, "seconds");
        check.range("drain_timeout_s", self.drain_timeout_s, &WAIT_S, "seconds");
        if check.errors.is_empty() { Ok(()) } else { Err(check.errors) }
    }

    fn validate_identity(&self, check: &mut Check) {
        let name_fits = NAME_CHARS.contains(&self.name.chars().count())
            && self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        check.that(
            name_fits,
            "name",
            || format!("{:?} is no name", shown(&self.name)),
            "1 to 100 letters, digits, - and _",
        );
        let kind_fits = NAME_CHARS.contains(&self.kind.chars().count()) && !self.kind.chars().any(char::is_control);
        check.that(kind_fits, "type", || format!("{:?} is no type", shown(&self.kind)), "1 to 100 characters");
        if let Err(error) = validate_replicas("replicas", i64::from(self.replicas)) {
            check.errors.push(error);
        }
    }

    fn validate_workload(&self, check: &mut Check) {
        match self.runtime() {
            Runtime::Docker => check.that(
                self.container_image.is_some(),
                "container_image",
                || "is missing".to_owned(),
                "an image such as nginx:1.29, or a command to run with runtime process",
            ),
            Runtime::Process => check.that(
                !self.command.is_empty(),
                "command",
                || "is missing, and runtime process has nothing else to run".to_owned(),
                "program and arguments, such as [\"python3\", \"-m\", \"http.server\"]",
            ),
        }
        if let Some(image) = &self.container_image {
            let fits = IMAGE_CHARS.contains(&image.chars().count())
                && !image.chars().any(|c| c.is_whitespace() || c.is_control());
            check.that(
                fits,
                "container_image",
                || format!("{:?} is no image", shown(image)),
                "1 to 500 characters without spaces",
            );
            check.that(
                !image.contains('@') || ImageDigest::of_reference(image).is_some(),
                "container_image",
                || format!("{:?} has no digest behind its @", shown(image)),
                "name@sha256: and 64 digits of 0-9a-f, or no @",
            );
        }
        check.command("command", &self.command);
        check.that(
            self.env.len() <= MAX_ENV,
            "env",
            || format!("{} variables are too many", self.env.len()),
            "at most 256 variables",
        );
        for (name, value) in &self.env {
            let name_fits = !name.is_empty() && name.len() <= 256 && !name.contains(['=', '\0']);
            check.that(
                name_fits,
                &format!("env.{}", shown(name)),
                || "is no variable name".to_owned(),
                "1 to 256 bytes without = and NUL",
            );
            let reserved = name == "PORT" || name.starts_with("FOGLINE_");
            check.that(
                !reserved,
                &format!("env.{}", shown(name)),
                || "is set by Fogline itself".to_owned(),
                "any name but PORT and FOGLINE_*",
            );
            let value_fits = value.len() <= MAX_TEXT_BYTES && !value.contains('\0');
            check.that(
                value_fits,
                &format!("env.{}", shown(name)),
                || "has a value that is too long or holds a NUL".to_owned(),
                "text of at most 32 KiB without NUL",
            );
        }
        if let Some(dir) = &self.working_dir {
            let fits = dir.starts_with('/') && dir.len() <= 4_096 && !dir.contains('\0');
            check.that(
                fits,
                "working_dir",
                || format!("{:?} is no absolute path", shown(dir)),
                "an absolute path of at most 4096 bytes",
            );
        }
        check.that(self.port != Some(0), "port", || "0 is no port to listen on".to_owned(), "1 to 65535");
        if let Some(port) = self.host_port {
            check.that(HOST_PORT.contains(&port), "host_port", || format!("{port} is out of range"), "1024 to 65535");
            check.that(
                self.port.is_some(),
                "host_port",
                || "is set, but port is not".to_owned(),
                "a host_port together with a port",
            );
        }
    }

    fn validate_resources(&self, check: &mut Check) {
        let Resources { cpu_millis, memory_mb, gpu_units, storage_gb } = self.resources;
        check.that(
            CPU_MILLIS.contains(&cpu_millis.0),
            "resources.cpu",
            || format!("{cpu_millis} is out of range"),
            "0.5 to 32 cores, in steps of 0.001",
        );
        check.range("resources.memory", memory_mb, &MEMORY_MB, "MB");
        check.range("resources.gpu", gpu_units, &GPU_UNITS, "units");
        check.range("resources.storage", storage_gb, &STORAGE_GB, "GB");
    }
}

pub(super) struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    pub(super) fn that(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String, accepted: &str) {
        if !holds {
            self.errors.push(FieldError::new(field, message(), accepted));
        }
    }

    pub(super) fn command(&mut self, field: &str, command: &[String]) {
        self.that(
            command.len() <= MAX_ARGUMENTS,
            field,
            || format!("{} arguments are too many", command.len()),
            "at most 256 arguments",
        );
        for (index, argument) in command.iter().enumerate() {
            let fits =
                argument.len() <= MAX_TEXT_BYTES && !argument.contains('\0') && (index > 0 || !argument.is_empty());
            self.that(
                fits,
                &format!("{field}[{index}]"),
                || "is empty, too long or holds a NUL".to_owned(),
                "text of at most 32 KiB without NUL",
            );
        }
    }

    pub(super) fn range(&mut self, field: &str, value: u32, range: &RangeInclusive<u32>, unit: &str) {
        self.that(
            range.contains(&value),
            field,
            || format!("{value} is out of range"),
            &format!("{} to {} {unit}", range.start(), range.end()),
        );
    }
}

/// A path of a request as it is sent: it starts with `/` and needs no escaping.
pub(super) fn is_request_path(path: &str, most_bytes: usize) -> bool {
    path.starts_with('/') && path.len() <= most_bytes && path.chars().all(|c| c.is_ascii_graphic())
}

/// A value as an error may quote it: long ones are cut, so that an error is never as large as the attack.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 120;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST).collect();
    format!("{head}…")
}
