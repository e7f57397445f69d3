//! Schedules: a count at a time of day, once, or for as long as a window is open.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Span;

/// What an open window does to the count that the other strategies want.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowMode {
    /// At least so many.
    #[default]
    Min,
    /// At most so many.
    Max,
    /// Neither more nor fewer.
    Exact,
}

/// A time of day and a count.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Minute, hour, day of the month, month, day of the week; or six fields, with seconds first.
    pub cron_expression: String,
    /// The count, 1 or more, brought within the bounds.
    pub desired_replicas: u32,
    /// A name of the IANA time zone database, such as `Europe/Budapest`.
    #[serde(default = "default_timezone")]
    pub timezone: String,
    /// Makes it a window that is open so long, 1 s to 31 days. Without it the count is set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// What a window does: `min`, `max` or `exact`.
    #[serde(default)]
    pub mode: WindowMode,
    /// Of overlapping ones the highest counts, then the one that started later.
    #[serde(default)]
    pub priority: i32,
    /// A fire time that was missed by less than this is caught up, once.
    #[serde(default = "default_catch_up")]
    pub catch_up: Span,
}

fn default_timezone() -> String {
    "UTC".to_owned()
}

const fn default_catch_up() -> Span {
    Span::seconds(3_600)
}
