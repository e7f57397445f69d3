//! Which deployments a list is about.

use fogline_core::id::UserId;
use fogline_core::state::DeploymentStatus;

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
