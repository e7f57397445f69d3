//! The commands: one file each, joined by this enum.
//!
//! A command holds its own flags, help, calls and output. Invariant: what it returns is either done or a [`Failure`]
//! with an exit code; no command prints an error itself.

mod agent;
mod apply;
mod backtest;
mod backup;
mod completions;
mod config;
mod db;
mod db_copy;
mod delete;
mod demo;
mod deploy;
pub mod dev;
mod exec;
mod explain;
mod history;
mod list;
mod login;
mod logout;
mod logs;
mod node;
mod openapi;
mod policy;
mod proxy;
mod replicas;
mod restore;
mod route;
mod scale;
mod schema;
mod server;
mod start;
mod status;
mod stop;
mod top;
mod user;
mod why;

use clap::Subcommand;

pub use server::open_failure;

use crate::env::Environment;
use crate::exit::Outcome;

/// Every command there is.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run server and node together on this machine, to try things out
    Dev(dev::DevArgs),
    /// Show what Fogline does, in half a minute, and leave nothing behind
    Demo(demo::DemoArgs),
    /// Run the control plane
    Server(server::ServerArgs),
    /// Run the agent of this machine
    Agent(Box<agent::AgentArgs>),
    /// Run the front door alone: it takes requests and passes them on to replicas
    Proxy(Box<proxy::ProxyArgs>),
    /// Log in and keep the login
    Login(login::LoginArgs),
    /// End the login and forget it
    Logout(logout::LogoutArgs),
    /// Create or update deployments from files
    Apply(apply::ApplyArgs),
    /// Create a deployment from flags
    Deploy(Box<deploy::DeployArgs>),
    /// Set how many replicas a deployment has
    Scale(scale::ScaleArgs),
    /// Show a deployment and its replicas
    Status(status::StatusArgs),
    /// Show deployments and their load, live
    Top(top::TopArgs),
    /// List deployments
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show what happened to a deployment, when, by whom and why
    History(history::HistoryArgs),
    /// List the replicas of a deployment and their endpoints
    Replicas(replicas::ReplicasArgs),
    /// List where requests come in, and what is behind it
    #[command(visible_alias = "routes")]
    Route(route::RouteArgs),
    /// Print what replicas have written
    Logs(logs::LogsArgs),
    /// Run a command in a replica, and end with its exit code
    Exec(exec::ExecArgs),
    /// Say why a deployment is where it is, or why it does not fit
    Explain(explain::ExplainArgs),
    /// Say how the number of a deployment's replicas came about
    Why(why::WhyArgs),
    /// Manage what scales by itself
    #[command(visible_alias = "policies")]
    Policy(policy::PolicyArgs),
    /// Try a scaling policy on a recorded load, without a server
    Backtest(backtest::BacktestArgs),
    /// Start a stopped or failed deployment
    Start(start::StartArgs),
    /// Stop every replica and keep the deployment
    Stop(stop::StopArgs),
    /// Stop every replica and forget the deployment
    Delete(delete::DeleteArgs),
    /// List nodes, and take them out of use
    #[command(visible_alias = "nodes")]
    Node(node::NodeArgs),
    /// Manage users
    #[command(visible_alias = "users")]
    User(user::UserArgs),
    /// Write all of a cluster's state into a file, while its servers go on
    Backup(backup::BackupArgs),
    /// Put a backup back into a database, here or on another host
    Restore(restore::RestoreArgs),
    /// Bring the database's tables up to date, or back; copy the database
    Db(db::DbArgs),
    /// Show the settings and where each comes from
    Config(config::ConfigArgs),
    /// Print the JSON Schema of a deployment or a scaling policy
    Schema(schema::SchemaArgs),
    /// Print the description of the HTTP API
    Openapi(openapi::OpenapiArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// Does it.
    pub async fn run(self, environment: &Environment) -> Outcome {
        match self {
            Self::Dev(args) => dev::run(args, environment).await,
            Self::Demo(args) => demo::run(args, environment).await,
            Self::Server(args) => server::run(args, environment).await,
            Self::Agent(args) => agent::run(*args, environment).await,
            Self::Proxy(args) => proxy::run(*args, environment).await,
            Self::Login(args) => login::run(args, environment).await,
            Self::Logout(args) => logout::run(args, environment).await,
            Self::Apply(args) => apply::run(args, environment).await,
            Self::Deploy(args) => deploy::run(*args, environment).await,
            Self::Scale(args) => scale::run(args, environment).await,
            Self::Status(args) => status::run(args, environment).await,
            Self::Top(args) => top::run(args, environment).await,
            Self::List(args) => list::run(args, environment).await,
            Self::History(args) => history::run(args, environment).await,
            Self::Replicas(args) => replicas::run(args, environment).await,
            Self::Route(args) => route::run(args, environment).await,
            Self::Logs(args) => logs::run(args, environment).await,
            Self::Exec(args) => exec::run(args, environment).await,
            Self::Explain(args) => explain::run(args, environment).await,
            Self::Why(args) => why::run(args, environment).await,
            Self::Policy(args) => policy::run(args, environment).await,
            Self::Backtest(args) => backtest::run(&args, environment),
            Self::Start(args) => start::run(args, environment).await,
            Self::Stop(args) => stop::run(args, environment).await,
            Self::Delete(args) => delete::run(args, environment).await,
            Self::Node(args) => node::run(args, environment).await,
            Self::User(args) => user::run(args, environment).await,
            Self::Backup(args) => backup::run(args, environment).await,
            Self::Restore(args) => restore::run(args, environment).await,
            Self::Db(args) => db::run(args, environment).await,
            Self::Config(args) => config::run(&args, environment),
            Self::Schema(args) => schema::run(&args),
            Self::Openapi(_) => openapi::run(),
            Self::Completions(args) => completions::run(&args),
        }
    }
}
