//! How those that attach to the leading server, agents and proxies, reach it.
//!
//! Which server is called and when ([`Redial`]), the settings of the connection ([`connect`]), who the caller is
//! ([`authorized`]), and what a refusal means in words ([`refused`]). Must never know what is said over it: that is
//! [`crate::protocol`]. Tests: in each file.

mod connection;
mod redial;
mod token;

pub use connection::{LARGEST_MESSAGE_BYTES, authorized, check_servers, connect, refused};
pub use redial::Redial;
pub use token::Token;
