//! The program as a user meets it: real processes, real sockets, real files. One binary, so that it links once.

mod api;
mod backtest;
mod backup;
mod calls;
mod chaos;
mod containers;
mod demo;
mod dev;
mod exit_codes;
mod files;
mod front_door;
mod harness;
mod leadership;
mod lifecycle;
mod policies;
mod prometheus;
mod requests;
mod seeds;
mod servers;
mod settings;
mod site;
mod updates;
