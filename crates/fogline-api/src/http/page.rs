//! One page of a list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list. Ask for the next one with `?cursor=` and the value of `next`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// What is on this page.
    pub items: Vec<T>,
    /// Where the next page starts, as an opaque text; absent or null on the last page.
    #[serde(default)]
    pub next: Option<String>,
}
