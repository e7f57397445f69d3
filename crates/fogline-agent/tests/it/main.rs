//! Integration tests of the agent, one binary for all.

mod driver;
mod run;
mod session;
mod supervisor;
