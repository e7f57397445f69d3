//! Where replicas may run, how far apart, and which of them go first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DeploymentSpec;
use super::validate::{Check, NAME_CHARS, shown};

const MAX_CONSTRAINTS: usize = 32;

/// Whether replicas of one deployment may share a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// On distinct nodes while there are any, then stacked.
    #[default]
    Preferred,
    /// At most one on a node.
    Required,
}

/// What becomes of a deploy that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// The deployment fails, with the reason.
    #[default]
    Fail,
    /// It stays pending until there is room for all of it.
    Wait,
}

/// Which replicas a scale-down stops first, after those that do not run or are not ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScaleDownOrder {
    /// Those that were created first.
    #[default]
    Oldest,
    /// Those that were created last.
    Newest,
    /// Those that use the least processor time.
    LeastLoaded,
    /// Those on the node that holds most of the deployment.
    MostStacked,
}

/// How a constraint compares a node's label.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintOperator {
    /// The label has one of `values`.
    In,
    /// The label is missing or has none of `values`.
    NotIn,
    /// The label is there, whatever it says.
    Exists,
    /// The label is not there.
    NotExists,
}

/// A demand on a node's labels. `region`, `zone` and `node` are labels that every node has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// The label's name.
    pub label: String,
    /// How it is compared.
    #[serde(rename = "op")]
    pub operator: ConstraintOperator,
    /// What it is compared with; empty for `exists` and `not_exists`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Where the replicas of a deployment may and should run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacementSpec {
    /// `preferred` (stack only when distinct nodes run out) or `required` (one a node).
    #[serde(default)]
    pub spread: Spread,
    /// Prefer nodes of this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Prefer nodes of this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Labels that a node must have, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// What happens when there is not enough room.
    #[serde(default)]
    pub when_full: WhenFull,
}

impl DeploymentSpec {
    pub(super) fn validate_placement(&self, check: &mut Check) {
        use ConstraintOperator::{Exists, In, NotExists, NotIn};
        for (field, value) in [("placement.region", &self.placement.region), ("placement.zone", &self.placement.zone)] {
            let Some(value) = value else { continue };
            check.that(
                NAME_CHARS.contains(&value.chars().count()),
                field,
                || format!("{:?} is no name", shown(value)),
                "1 to 100 characters",
            );
        }
        let constraints = &self.placement.constraints;
        check.that(
            constraints.len() <= MAX_CONSTRAINTS,
            "placement.constraints",
            || format!("{} are too many", constraints.len()),
            "at most 32",
        );
        for (index, constraint) in constraints.iter().enumerate() {
            let field = format!("placement.constraints[{index}]");
            check.that(
                NAME_CHARS.contains(&constraint.label.chars().count()),
                &field,
                || "has no label".to_owned(),
                "a label of 1 to 100 characters",
            );
            let values_fit = match constraint.operator {
                In | NotIn => !constraint.values.is_empty() && constraint.values.len() <= 100,
                Exists | NotExists => constraint.values.is_empty(),
            };
            check.that(
                values_fit,
                &field,
                || "has the wrong number of values".to_owned(),
                "1 to 100 values for in and not_in, none for exists and not_exists",
            );
        }
    }
}
