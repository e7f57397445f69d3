//! A client command's connection: which server, as whom, and how results are printed.
//!
//! Decides the server (flag, FOGLINE_SERVER, newest login, the default of `dev`) and the token (FOGLINE_TOKEN, else the
//! login, refreshed in time). Commands ask for a client right before each call or poll, so that a long wait outlives
//! an access token.

use clap::Args;
use fogline_api::client::{Client, DeploymentQuery};
use fogline_core::id::DeploymentId;

use crate::credentials::Credentials;
use crate::env::{self, Environment};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Color, Format, Output};

/// The server that `fogline dev` starts when nothing else is said.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8000";

/// What every client command takes.
#[derive(Clone, Debug, Default, Args)]
pub struct ClientArgs {
    /// The server, such as http://127.0.0.1:8000 [env: FOGLINE_SERVER; default: that of the last login]
    #[arg(short, long, value_name = "URL", help_heading = "Connection and output")]
    pub server: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How results are printed.
#[derive(Clone, Debug, Default, Args)]
pub struct OutputArgs {
    /// How results are printed [env: FOGLINE_OUTPUT; default: table]
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "Connection and output")]
    pub output: Option<Format>,
    /// Colours; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, help_heading = "Connection and output")]
    pub color: Color,
}

impl OutputArgs {
    /// Settles them.
    ///
    /// # Errors
    /// When `FOGLINE_OUTPUT` names no format.
    pub fn settle(&self, environment: &Environment) -> Outcome<Output> {
        let format = match (self.output, environment.get("OUTPUT")) {
            (Some(format), _) => format,
            (None, None) => Format::default(),
            (None, Some(word)) => <Format as clap::ValueEnum>::from_str(word, true).map_err(|_| {
                Failure::new(Exit::Usage, format!("FOGLINE_OUTPUT is {word:?}")).hint("accepted: table, json, yaml")
            })?,
        };
        Ok(Output::new(format, self.color, environment.no_color))
    }
}

/// A server, a user, an output.
#[derive(Debug)]
pub struct Session {
    base: Client,
    token: Option<String>,
    credentials: Option<Credentials>,
    /// Where results go.
    pub output: Output,
}

impl Session {
    /// Settles server and login; connects to nothing yet.
    ///
    /// # Errors
    /// When an address or a credentials file makes no sense.
    pub fn open(args: &ClientArgs, environment: &Environment) -> Outcome<Self> {
        let output = args.output.settle(environment)?;
        let token = environment.get("TOKEN").map(str::to_owned);
        let credentials = match &token {
            Some(_) => None,
            None => Some(Credentials::locate(environment)?),
        };
        let server = match (&args.server, environment.get("SERVER"), &credentials) {
            (Some(server), ..) => server.clone(),
            (None, Some(server), _) => server.to_owned(),
            (None, None, Some(credentials)) => {
                credentials.current_server()?.unwrap_or_else(|| DEFAULT_SERVER.to_owned())
            }
            (None, None, None) => DEFAULT_SERVER.to_owned(),
        };
        Ok(Self { base: Client::new(&server)?, token, credentials, output })
    }

    /// A client without a login.
    pub fn anonymous(&self) -> &Client {
        &self.base
    }

    /// Where logins are kept.
    ///
    /// # Errors
    /// When `FOGLINE_TOKEN` says that none is wanted.
    pub fn credentials(&self) -> Outcome<&Credentials> {
        self.credentials.as_ref().ok_or_else(|| {
            Failure::new(Exit::Usage, "FOGLINE_TOKEN is set, so no login is kept or used")
                .hint("unset FOGLINE_TOKEN first")
        })
    }

    /// A client whose token is good for the next call.
    ///
    /// # Errors
    /// When nobody is logged in, or the login has ended.
    pub async fn client(&self) -> Outcome<Client> {
        match (&self.token, &self.credentials) {
            (Some(token), _) => Ok(self.base.with_token(token)),
            (None, Some(credentials)) => Ok(self.base.with_token(&credentials.access_token(&self.base).await?)),
            (None, None) => Ok(self.base.clone()),
        }
    }

    /// The same, for one change: it carries a key, so that sending it again does it once.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub async fn changing_client(&self) -> Outcome<Client> {
        Ok(self.client().await?.once(&env::random_key()))
    }

    /// The deployment that `wanted` names, by name or id.
    ///
    /// # Errors
    /// When there is none, or, for an administrator, several of that name.
    pub async fn find(&self, wanted: &str) -> Outcome<DeploymentId> {
        if let Ok(id) = wanted.parse() {
            return Ok(id);
        }
        let query = DeploymentQuery { name: Some(wanted.to_owned()), ..DeploymentQuery::default() };
        let mut found = self.client().await?.all_deployments(query).await?;
        found.retain(|deployment| deployment.name == wanted);
        match found.as_slice() {
            [one] => Ok(one.id),
            [] => Err(Failure::new(Exit::NotFound, format!("there is no deployment {wanted:?}, or it is not yours"))
                .hint("`fogline list` shows what there is")),
            several => {
                let mut failure = Failure::new(Exit::Refused, format!("several users have a deployment {wanted:?}"));
                failure.causes = several.iter().map(|one| format!("{} of user {}", one.id, one.user_id)).collect();
                Err(failure.hint("name one by its id"))
            }
        }
    }
}
