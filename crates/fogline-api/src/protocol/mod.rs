//! The protocols of agents and of proxies ([`proxy`]): messages generated from `proto/`, and their translation to core's
//! words.
//!
//! Both ends read and write [`FromAgent`] and [`FromServer`]; the generated structs are only what is on the wire.
//! Translation is strict: an unspecified enum, a broken id, a number out of range or a list that names something twice
//! is a [`WireError`] that says which field, never a default. Must never decide anything. Tests: in each file.

#[expect(missing_docs, clippy::all, clippy::allow_attributes, reason = "generated")]
mod generated {
    tonic::include_proto!("fogline.agent.v1");
}

mod assignment;
mod declaration;
mod exec;
mod field;
mod message;
mod observation;
pub mod proxy;
mod template;

pub use assignment::NodeAssignment;
pub use exec::{ExecAnswer, ExecEnd, ExecOutput, ExecQuestion, MAX_EXEC_OUTPUT_BYTES, MAX_EXEC_TIME};
pub use field::{MAX_REPORT_TEXT_BYTES, WireError};
pub use generated::*;
pub use message::{FromAgent, FromServer, Greeting, LogChunkData, LogQuestion, Reception};
pub use observation::{NodeLoad, NodeObservation};
