//! Amounts of what a node has and a replica takes. Whole numbers in named units, so sums are exact.
//!
//! Invariant: arithmetic here never wraps and never loses a unit; what does not fit is said, not clipped.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Processor time in thousandths of a core. In JSON and YAML a number of cores: `0.5`, `2`, in steps of 0.001.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CpuMillis(pub u32);

impl CpuMillis {
    /// Cores as the seeds' columns and answers have them.
    #[must_use]
    pub fn as_cores(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    /// From a number of cores.
    ///
    /// # Errors
    /// When it is not a finite, non-negative multiple of 0.001 (within what a float can tell) below four million.
    pub fn from_cores(cores: f64) -> Result<Self, String> {
        let millis = cores * 1_000.0;
        if !millis.is_finite() || millis < 0.0 || millis > f64::from(u32::MAX) {
            return Err(format!("{cores} is no number of cores: give a number such as 0.5 or 2"));
        }
        if (millis - millis.round()).abs() > 1e-6 * millis.max(1.0) {
            return Err(format!("{cores} cores is finer than 0.001 of a core: round it, for example to {:.3}", cores));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked above")]
        Ok(Self(millis.round() as u32))
    }
}

impl fmt::Display for CpuMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_cores())
    }
}

impl fmt::Debug for CpuMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.0)
    }
}

impl Serialize for CpuMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_cores())
    }
}

impl<'de> Deserialize<'de> for CpuMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_cores(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a node offers, or what one replica reserves.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Processor cores, 0.5 to 32 for a replica, in steps of 0.001.
    #[serde(rename = "cpu", alias = "cpu_cores")]
    #[schema(value_type = f64)]
    #[schemars(with = "f64")]
    pub cpu_millis: CpuMillis,
    /// Memory in MB, 512 to 65536 for a replica.
    #[serde(rename = "memory", alias = "memory_mb")]
    pub memory_mb: u32,
    /// GPU units, 0 to 8 for a replica.
    #[serde(rename = "gpu", alias = "gpu_units", default)]
    pub gpu_units: u32,
    /// Storage in GB, 1 to 1000 for a replica; 10 when nothing is said.
    #[serde(rename = "storage", alias = "storage_gb", default = "default_storage_gb")]
    pub storage_gb: u32,
}

const fn default_storage_gb() -> u32 {
    10
}

impl Resources {
    /// Nothing at all.
    pub const ZERO: Self = Self { cpu_millis: CpuMillis(0), memory_mb: 0, gpu_units: 0, storage_gb: 0 };

    /// Whether `need` fits into this.
    #[must_use]
    pub fn covers(self, need: Self) -> bool {
        self.cpu_millis >= need.cpu_millis
            && self.memory_mb >= need.memory_mb
            && self.gpu_units >= need.gpu_units
            && self.storage_gb >= need.storage_gb
    }

    /// The sum; saturates, so a broken row can never wrap into free room.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_millis: CpuMillis(self.cpu_millis.0.saturating_add(other.cpu_millis.0)),
            memory_mb: self.memory_mb.saturating_add(other.memory_mb),
            gpu_units: self.gpu_units.saturating_add(other.gpu_units),
            storage_gb: self.storage_gb.saturating_add(other.storage_gb),
        }
    }

    /// What is left after `taken`; nothing where more was taken than is there.
    #[must_use]
    pub fn less(self, taken: Self) -> Self {
        Self {
            cpu_millis: CpuMillis(self.cpu_millis.0.saturating_sub(taken.cpu_millis.0)),
            memory_mb: self.memory_mb.saturating_sub(taken.memory_mb),
            gpu_units: self.gpu_units.saturating_sub(taken.gpu_units),
            storage_gb: self.storage_gb.saturating_sub(taken.storage_gb),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPU, {} MB RAM", self.cpu_millis, self.memory_mb)?;
        if self.gpu_units > 0 {
            write!(f, ", {} GPU", self.gpu_units)?;
        }
        write!(f, ", {} GB storage", self.storage_gb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_exact_in_thousandths() {
        for millis in [0, 1, 500, 1_001, 1_500, 31_999, 32_000] {
            let cpu = CpuMillis(millis);
            assert_eq!(CpuMillis::from_cores(cpu.as_cores()), Ok(cpu));
        }
    }

    #[test]
    fn no_core_count_is_refused_with_what_would_do() {
        for (cores, part) in [
            (f64::NAN, "no number of cores"),
            (f64::INFINITY, "no number of cores"),
            (-1.0, "no number of cores"),
            (0.50005, "finer than 0.001"),
        ] {
            let error = CpuMillis::from_cores(cores).expect_err("refused");
            assert!(error.contains(part), "{error}");
        }
    }
}
