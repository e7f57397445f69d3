//! What handlers ask of a request before they begin: who, which object, what body, which page.
//!
//! Invariant: nothing of a body is read before the caller is known, except at the doors that have no caller yet.

mod body;
mod caller;
mod field;
mod key;
mod params;
mod target;

pub use body::{Body, NoBody, OpenBody};
pub use caller::{Admin, Caller, Remote};
pub(super) use field::{field_error, list_for_object};
pub use key::Fingerprints;
pub use params::{Paging, Params, page_request};
pub use target::{PathId, PathIds, canonical_id, deployment_to_change, visible_deployment, visible_user};
