//! `fogline user`: who may log in. For administrators, but for one's own password.

use std::io::Read;

use clap::{Args, Subcommand};
use fogline_api::http::{CreateUserRequest, PatchUserRequest, UserResponse};
use fogline_core::record::{Role, Tier};
use serde_json::json;

use crate::env::{self, Environment};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Table, age, clean};
use crate::session::{ClientArgs, Session};

/// Flags of `fogline user`.
#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// List users
    List(ListUsers),
    /// Add a user
    Add(AddUser),
    /// Change role, tier or password of a user, or keep them out
    Set(SetUser),
    /// Remove a user and their deployments
    Delete(DeleteUser),
    /// Change your own password; ends all your sessions
    Password(OwnPassword),
}

#[derive(Debug, Args)]
struct ListUsers {
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct AddUser {
    /// The name: 1 to 64 letters, digits, - _ . and @
    username: String,
    /// What the user may do: admin, user or viewer
    #[arg(long, default_value = "user", value_parser = parse_role)]
    role: Role,
    /// How much the user may have: free, pro or enterprise
    #[arg(long, default_value = "free", value_parser = parse_tier)]
    tier: Tier,
    /// Read the password from standard input, instead of generating one and printing it once
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct SetUser {
    /// Name or id of the user
    user: String,
    /// The new role: admin, user or viewer
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// The new tier: free, pro or enterprise
    #[arg(long, value_parser = parse_tier)]
    tier: Option<Tier>,
    /// Keep the user out
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Let the user in again
    #[arg(long)]
    enable: bool,
    /// Read a new password from standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
struct DeleteUser {
    /// Name or id of the user
    user: String,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Standard input holds two lines: the current password and the new one.")]
struct OwnPassword {
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "accepted: admin, user, viewer".to_owned())
}

fn parse_tier(word: &str) -> Result<Tier, String> {
    Tier::parse(word).ok_or_else(|| "accepted: free, pro, enterprise".to_owned())
}

/// Manages users.
pub async fn run(args: UserArgs, environment: &Environment) -> Outcome {
    match args.command {
        UserCommand::List(args) => list(&Session::open(&args.client, environment)?).await,
        UserCommand::Add(args) => add(args, environment).await,
        UserCommand::Set(args) => set(args, environment).await,
        UserCommand::Delete(args) => {
            let session = Session::open(&args.client, environment)?;
            let user = find(&session, &args.user).await?;
            session.changing_client().await?.delete_user(user.id).await?;
            session.output.print(&user, |paint| format!("{}: deleted", paint.strong(&user.username)))
        }
        UserCommand::Password(args) => {
            let session = Session::open(&args.client, environment)?;
            let lines = read_passwords(2)?;
            let [current, new] = lines.as_slice() else {
                return Err(Failure::new(Exit::Usage, "two lines are needed: the current password and the new one"));
            };
            session.client().await?.change_password(current, new).await?;
            session.output.print(&json!({ "changed": true }), |_| "the password is changed; log in again".to_owned())
        }
    }
}

async fn list(session: &Session) -> Outcome {
    let users = session.client().await?.users().await?;
    session.output.print(&users, |paint| {
        let mut table = Table::new(paint, &["NAME", "ROLE", "TIER", "DISABLED", "AGE", "ID"]);
        for user in &users {
            table.row(&[
                user.username.clone(),
                user.role.as_str().to_owned(),
                user.tier.as_str().to_owned(),
                if user.disabled { "yes" } else { "no" }.to_owned(),
                age(user.created_at),
                user.id.to_string(),
            ]);
        }
        table.render("no users")
    })
}

async fn add(args: AddUser, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let (password, generated) = if args.password_stdin { (one_password()?, false) } else { (env::random_key(), true) };
    let request = CreateUserRequest { username: args.username, password, role: args.role, tier: args.tier };
    let user = session.changing_client().await?.create_user(&request).await?;
    let mut answer =
        serde_json::to_value(&user).map_err(|error| Failure::general("cannot print the user").because(error))?;
    if generated {
        answer["password"] = json!(request.password);
    }
    session.output.print(&answer, |paint| {
        let mut text = format!(
            "{}: added as {} with tier {}",
            paint.strong(&user.username),
            user.role.as_str(),
            user.tier.as_str()
        );
        if generated {
            text.push_str(&format!("\npassword: {}\nit is not shown again", request.password));
        }
        text
    })
}

async fn set(args: SetUser, environment: &Environment) -> Outcome {
    let session = Session::open(&args.client, environment)?;
    let disabled = match (args.disable, args.enable) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let password = if args.password_stdin { Some(one_password()?) } else { None };
    if disabled.is_none() && password.is_none() && args.role.is_none() && args.tier.is_none() {
        return Err(Failure::new(Exit::Usage, "nothing is to be changed")
            .hint("say one of --role, --tier, --disable, --enable, --password-stdin"));
    }
    let user = find(&session, &args.user).await?;
    let change = PatchUserRequest { password, role: args.role, tier: args.tier, disabled };
    let user = session.changing_client().await?.patch_user(user.id, &change).await?;
    session.output.print(&user, |paint| format!("{}: changed", paint.strong(&user.username)))
}

async fn find(session: &Session, wanted: &str) -> Outcome<UserResponse> {
    let users = session.client().await?.users().await?;
    users.into_iter().find(|user| user.username == wanted || user.id.to_string() == wanted).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no user {:?}", clean(wanted)))
            .hint("`fogline user list` shows them")
    })
}

fn one_password() -> Outcome<String> {
    read_passwords(1)?
        .pop()
        .filter(|password| !password.is_empty())
        .ok_or_else(|| Failure::new(Exit::Usage, "standard input holds no password"))
}

fn read_passwords(lines: usize) -> Outcome<Vec<String>> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(8_192)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(Exit::Usage, "cannot read the password").because(error))?;
    Ok(text.lines().take(lines).map(str::to_owned).collect())
}
