//! What a server promises, over its own doors: one binary, so that it is linked once.

mod agents;
mod disk;
mod exec;
mod http;
mod images;
mod leadership;
mod proxies;
mod rig;
mod scaling;
mod writer;
