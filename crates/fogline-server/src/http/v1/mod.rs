//! The API: a folder a resource, a file an endpoint.

pub mod audit;
pub mod auth;
pub mod deployments;
pub mod events;
pub mod metrics;
pub mod nodes;
pub mod proxies;
pub mod routes;
pub mod scaling;
pub mod users;
