//! Tests of the deciding part through its public door: commands in, changes out.

mod guards;
mod properties;
mod scaling;
mod script;
mod scripts;
mod world;
