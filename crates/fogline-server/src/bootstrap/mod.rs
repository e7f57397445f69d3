//! What a data directory needs before it can be served: secrets, and somebody who may log in.

mod administrator;
mod secret_file;

pub use secret_file::SecretFileError;

pub(crate) use administrator::{AdministratorError, ensure_administrator};
pub(crate) use secret_file::{bytes_of, private_directory, read_or_make};
