//! Where agents and proxies attach: one listener, one token, and one way for a stream to begin and to end.
//!
//! Decides nothing about the cluster. [`endpoint`] serves both, [`token`] says who may come in, [`greeting`] is how every
//! session begins and ends, [`speech`] is the last check before the wire. Tests: in the files, `tests/it/agents.rs`,
//! `tests/it/proxies`.

mod endpoint;
mod greeting;
mod speech;
mod token;

pub(crate) use endpoint::{Endpoint, Sessions};
pub(crate) use greeting::{Outgoing, Party, belongs_elsewhere, finish, greeting, turn_away};
pub(crate) use speech::{Right, Speech, stepped_down};
pub(crate) use token::Token;
