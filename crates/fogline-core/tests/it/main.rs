//! Tests of the deciding part through its public door: commands in, changes out.

mod front;
mod guards;
mod properties;
mod scaling;
mod scaling_commands;
mod script;
mod scripts;
mod world;
