//! What handlers ask of a request before they begin: who, which object, what body, which page.
//!
//! Invariant: nothing of a body is looked at before the caller is known, except at the doors that have no caller yet.

mod body;
mod caller;
mod field;
mod if_match;
mod key;
mod params;
mod policy;
mod scaling_target;
mod target;

pub use body::{Body, NoBody, OpenBody, OptionalBody};
pub use caller::{Admin, Caller, Remote};
pub(super) use field::{field_error, list_for_object};
pub use if_match::{IfMatch, entity_tag};
pub use key::Fingerprints;
pub use params::{Paging, Params, page_request};
pub use policy::{policy_to_change, visible_policy};
pub use scaling_target::{named_target, visible_target};
pub use target::{PathId, PathIds, deployment_to_change, visible_deployment, visible_user};
