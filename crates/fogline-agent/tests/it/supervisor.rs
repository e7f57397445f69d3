//! The supervisor on a clock of the test's own: what becomes of replicas in the cases that people know, and what never
//! happens in cases that nobody has thought of.

mod cases;
mod images;
mod ports;
mod properties;
mod warm_up;
mod world;
