//! `fogline logout`: ends the session and forgets its tokens.

use clap::Args;
use serde_json::json;

use crate::env::Environment;
use crate::exit::{Exit, Outcome};
use crate::output::say;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    #[command(flatten)]
    client: ClientArgs,
}

/// Logs out.
pub async fn run(args: LogoutArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let credentials = session.credentials()?;
    let server = session.anonymous().server().to_owned();
    // A session that has ended already, or a server that is gone, is no reason to keep the tokens.
    let ended = match session.client().await {
        Ok(client) => client.logout().await.map_err(Into::into),
        Err(failure) => Err(failure),
    };
    let was_there = credentials.forget(&server).await?;
    match ended {
        Err(failure) if was_there && failure.exit != Exit::Unauthenticated => {
            say!("the login is forgotten here, but the server could not be told: {}", failure.message);
        }
        Err(failure) if !was_there => return Err(failure),
        Ok(()) | Err(_) => {}
    }
    session.output.print(&json!({ "server": server }), |_| format!("logged out at {server}"))
}
