//! `fogline login`: trades name and password for tokens, and keeps them.
//!
//! Must never take a password as a flag, where every user of the machine could read it, nor print one.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use crate::env::Environment;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline login`.
#[derive(Debug, Args)]
#[command(
    after_help = "The password is FOGLINE_PASSWORD, the first line of standard input, or asked for.\nThe login is kept in ~/.config/fogline/credentials.json, readable only by you."
)]
pub struct LoginArgs {
    /// The user's name
    #[arg(short, long, default_value = "admin")]
    username: String,
    /// Print an access token instead of keeping the login
    #[arg(long)]
    print_token: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Logs in.
pub async fn run(args: LoginArgs, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let client = session.anonymous();
    if client.is_exposed() {
        say!("warning: {} is reached over a network without encryption, and so is the password", client.server());
    }
    let password = password(environment, &args.username, client.server())?;
    let tokens = client.login(&args.username, &password).await?;
    if args.print_token {
        return session.output.print(&json!({ "access_token": tokens.access_token }), |_| tokens.access_token.clone());
    }
    let credentials = session.credentials()?;
    credentials.save(client.server(), &args.username, tokens).await?;
    let kept = credentials.path().display().to_string();
    let answer = json!({ "server": client.server(), "username": args.username, "credentials": kept });
    session.output.print(&answer, |_| format!("logged in at {} as {}", client.server(), args.username))
}

fn password(environment: &Environment, username: &str, server: &str) -> Outcome<String> {
    if let Some(password) = environment.get("PASSWORD") {
        return Ok(password.to_owned());
    }
    let stdin = std::io::stdin();
    let line = if stdin.is_terminal() {
        eprint!("password of {username} at {server}: ");
        let line = without_echo(|| read_line(stdin.lock()));
        say!("");
        line?
    } else {
        read_line(stdin.lock())?
    };
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failure::new(Exit::Usage, "no password was given")
            .hint("set FOGLINE_PASSWORD, pipe it in, or type it when asked"));
    }
    Ok(password.to_owned())
}

fn read_line(from: impl BufRead) -> Outcome<String> {
    let mut line = String::new();
    from.take(4_096)
        .read_line(&mut line)
        .map_err(|error| Failure::new(Exit::Usage, "cannot read the password").because(error))?;
    Ok(line)
}

/// Runs `read` while the terminal does not show what is typed.
fn without_echo<T>(read: impl FnOnce() -> T) -> T {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    if let Some(mut quiet) = before.clone() {
        quiet.local_modes.remove(LocalModes::ECHO);
        // Where that fails the password is seen by whoever sits there; better than not being able to log in.
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
    }
    let result = read();
    if let Some(before) = before {
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &before);
    }
    result
}
