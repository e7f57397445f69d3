//! Who somebody is: passwords, access and refresh tokens, and the slowing down of those who guess.
//!
//! Decides only whether a proof is good; what its owner may do is core's. Must never keep, log or return a password,
//! a token or a hash. Nothing of HTTP is here: [`crate::http`] asks. Tests: in each file, and `tests/it/http`.

mod access;
mod entropy;
mod password;
mod peer;
mod refresh;
mod throttle;

pub use access::{AccessTokens, Claims, TokenError};
pub use entropy::random_bytes;
pub use password::{HashError, MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, Passwords, hash_password};
pub use peer::Peers;
pub use refresh::RefreshToken;
pub(crate) use refresh::hex;
pub use throttle::{Attempt, Throttle};
