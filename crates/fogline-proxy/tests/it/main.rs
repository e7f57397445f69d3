//! The proxy as its clients, its replicas and its server see it.

mod control;
mod front;
mod hostile;
mod rig;
mod tcp;
mod tls;
mod zero_races;
