//! What an agent or a proxy needs to attach to its servers: where they are, and the token that it shows.

use std::path::PathBuf;

use fogline_api::attach::Token;

use crate::exit::{Exit, Failure, Outcome};
use crate::settings::Settings;

/// Where servers are, and what is shown to them.
#[derive(Clone, Debug)]
pub struct Attach {
    /// Each `address:port`.
    pub servers: Vec<String>,
    /// The servers know those that have it.
    pub token: Token,
}

impl Attach {
    /// Reads the token.
    ///
    /// # Errors
    /// When none is named, or its file cannot be read.
    pub fn from(settings: &Settings) -> Outcome<Self> {
        let file = settings.text("agent.token_file").map(PathBuf::from).ok_or_else(|| {
            Failure::new(Exit::Usage, "no token was named that is shown to the server")
                .hint("--token-file names the server's DATA/agent.token, or a copy of it")
        })?;
        let token = std::fs::read_to_string(&file).map_err(|error| {
            Failure::new(Exit::Unavailable, format!("cannot read the token in {}", file.display())).because(error)
        })?;
        let servers = settings.get("agent.server").value.split(',').map(|one| one.trim().to_owned()).collect();
        Ok(Self { servers, token: Token::new(&token) })
    }
}
