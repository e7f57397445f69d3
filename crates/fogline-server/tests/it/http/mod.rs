//! What a caller of the HTTP API may rely on: the real router, the real writer, a real database in a directory of its
//! own. Agents are spoken for by [`api::Api::run`].

mod access;
pub mod api;
mod bad_input;
mod deployments;
mod events;
mod login;
mod metrics;
mod nodes;
mod outside_proxy;
mod proxy_scaling;
mod scaling;
mod seeds;
mod served;
mod users;
