//! The program as a user meets it: real processes, real sockets, real files. One binary, so that it links once.

mod api;
mod chaos;
mod demo;
mod dev;
mod exit_codes;
mod files;
mod harness;
mod lifecycle;
mod seeds;
mod settings;
mod updates;
