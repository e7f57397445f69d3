//! Which rows a list is about.

use fogline_core::id::{PolicyId, UserId};
use fogline_core::record::ScalingTarget;
use fogline_core::state::DeploymentStatus;
use fogline_core::time::Timestamp;

/// All deployments that fit every condition that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeploymentFilter {
    /// Only this user's; everyone's where nothing is said, which is for administrators.
    pub user: Option<UserId>,
    /// Only those of this status. `Deleted` needs `include_deleted`.
    pub status: Option<DeploymentStatus>,
    /// Only the one of exactly this name.
    pub name: Option<String>,
    /// Deleted ones too.
    pub include_deleted: bool,
}

/// All scaling policies that fit every condition that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyFilter {
    /// Only those on this user's deployments, whoever wrote them, and this user's on something outside; everyone's where
    /// nothing is said, which is for administrators.
    pub visible_to: Option<UserId>,
    /// Only those that this user wrote.
    pub user: Option<UserId>,
    /// Only those of exactly this name. Each user may have one.
    pub name: Option<String>,
    /// Only those on this target.
    pub target: Option<ScalingTarget>,
}

/// All scaling decisions that fit every condition that is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DecisionFilter {
    /// Of what.
    pub of: DecisionsOf,
    /// Only those that changed a count, or would have.
    pub changes_only: bool,
    /// Only those that were kept from being carried out, or only those that were not.
    pub dry_run: Option<bool>,
    /// Only those of this moment or later.
    pub from: Option<Timestamp>,
    /// Only those before this moment; a page's cursor says it better where there is one.
    pub before: Option<Timestamp>,
}

/// What a list of decisions is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum DecisionsOf {
    /// Everything, which is for administrators.
    #[default]
    All,
    /// The deployments of this user, and targets of theirs outside, also where no policy is on them any more.
    VisibleTo(UserId),
    /// One target.
    Target(ScalingTarget),
    /// One policy, as far as decisions name it; it may be gone.
    Policy(PolicyId),
}
