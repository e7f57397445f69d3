//! The store from outside: what every backend must do, and what SQLite must survive.

mod backend;
mod contract;
mod faults;
mod rows;
mod samples;
mod scaling_rows;
mod transfer;
mod world;
