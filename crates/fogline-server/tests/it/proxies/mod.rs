//! What a proxy may rely on, over real gRPC, and what becomes of what it tells. Proxies and agents are played by hand.

mod drain;
mod hostile;
mod play;
mod sessions;
mod signals;
mod table;
mod wake;
