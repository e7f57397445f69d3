//! Where the demo plays: a temporary directory, a `fogline dev` in a process of its own, and a way to type commands.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::leftovers::kill_all;
use crate::cli::Cli;
use crate::env::{self, Environment};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::output::show;
use crate::session::{ClientArgs, Session};

/// How long the server may take to come up, or to go.
const SERVER_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The place of one demo.
#[derive(Debug)]
pub struct Stage {
    dir: Option<TempDir>,
    root: PathBuf,
    /// The environment of the commands: the server, the password, a credentials file of the demo's own.
    environment: Environment,
    password: String,
    /// Settings of the person at the terminal, which are not the demo's.
    inherited: Vec<String>,
    server: Option<Child>,
    /// Where requests for services come in.
    front_door: Option<String>,
    steps: u32,
}

impl Stage {
    /// Makes the directory.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn set_up(environment: &Environment, keep_data: bool) -> Outcome<Self> {
        let failed =
            |error: std::io::Error| Failure::general("cannot make a temporary directory for the demo").because(error);
        let mut dir = tempfile::Builder::new().prefix("fogline-demo-").tempdir().map_err(failed)?;
        dir.disable_cleanup(keep_data);
        let root = fs::canonicalize(dir.path()).map_err(failed)?;
        let password = env::random_key();
        let inherited = environment.fogline.keys().cloned().collect();
        let mut own = environment.clone();
        own.fogline.clear();
        own.set("PASSWORD", &password);
        own.set("CREDENTIALS", &root.join("credentials.json").to_string_lossy());
        Ok(Self {
            dir: Some(dir),
            root,
            environment: own,
            password,
            inherited,
            server: None,
            front_door: None,
            steps: 0,
        })
    }

    /// Announces what comes next.
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        show!("\n━━ {}. {title}", self.steps);
    }

    /// Starts `fogline dev` with these flags and waits until its nodes are there.
    ///
    /// # Errors
    /// When it does not come up; with what it said.
    pub async fn start_server(&mut self, flags: &[&str]) -> Outcome {
        let failed = |error: std::io::Error| Failure::general("cannot start the server").because(error);
        let (data, log) = (self.root.join("data"), self.root.join("dev.log"));
        show!(
            "$ FOGLINE_EVALUATION_INTERVAL_S=1 FOGLINE_HEARTBEAT_INTERVAL_S=1 \\\n  fogline dev --data {} --listen 127.0.0.1:0 --proxy-listen 127.0.0.1:0 {} &",
            data.display(),
            flags.join(" ")
        );
        let mut command = Command::new(env::own_program().map_err(failed)?);
        for name in self.inherited.iter().filter(|name| *name != "FOGLINE_AGENT_PORTS") {
            command.env_remove(name);
        }
        let child = command
            .arg0("fogline")
            .arg("dev")
            .arg("--data")
            .arg(&data)
            .args(["--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0"])
            .args(flags)
            .env("FOGLINE_ADMIN_PASSWORD", &self.password)
            // Nobody wants to wait for a demo.
            .env("FOGLINE_EVALUATION_INTERVAL_S", "1")
            .env("FOGLINE_HEARTBEAT_INTERVAL_S", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).map_err(failed)?)
            // Ctrl-C is for the demo, which then stops its server in good order.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let child = self.server.insert(child);
        let deadline = Instant::now() + SERVER_WITHIN;
        let said = loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            // The last of its first words.
            if said.contains("Ctrl-C stops everything") {
                break said;
            }
            let ended = child.try_wait().map_err(failed)?;
            if ended.is_some() || Instant::now() >= deadline {
                return Err(Failure::new(Exit::Unavailable, "the server did not come up").because(said));
            }
            sleep(LOOK_EVERY).await;
        };
        let url = said.lines().find_map(|line| line.split_once("serves ")).map(|(_, url)| url.trim());
        let url = url.ok_or_else(|| Failure::general("the server did not say where it is").because(&said))?;
        self.environment.set("SERVER", url);
        let door = said.lines().find_map(|line| line.split_once("requests come in at ")).map(|(_, url)| url.trim());
        self.front_door = door.map(str::to_owned);
        let shown = ["serves ", "nodes are there", "requests come in at "];
        for line in said.lines().filter(|line| shown.iter().any(|words| line.contains(words))) {
            show!("{line}");
        }
        Ok(())
    }

    /// Writes a file of the demo's own.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.root.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::general(format!("cannot write {}", path.display())).because(error))?;
        Ok(path)
    }

    /// Where requests for services come in.
    ///
    /// # Errors
    /// When the server has not said so.
    pub fn front_door(&self) -> Outcome<&str> {
        self.front_door.as_deref().ok_or_else(|| Failure::general("the server did not say where requests come in"))
    }

    /// A session like that of the commands, for checks.
    ///
    /// # Errors
    /// When the login is gone.
    pub fn session(&self) -> Outcome<Session> {
        Session::open(&ClientArgs::default(), &self.environment)
    }

    /// Types a command and runs it.
    ///
    /// # Errors
    /// The command's failure.
    pub async fn fogline(&self, args: &[&str]) -> Outcome {
        let shown: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        show!("$ fogline {}", shown.join(" "));
        let cli = Cli::try_parse_from(["fogline"].iter().chain(args))
            .map_err(|error| Failure::general("the demo typed a command that does not exist").because(error))?;
        // A command may run the demo, which runs commands: boxed, so that the future has a size.
        Box::pin(cli.command.run(&self.environment)).await
    }

    /// Types a command that must fail with `exit`, and shows what it says.
    ///
    /// # Errors
    /// When it does not fail, or otherwise.
    pub async fn fogline_fails(&self, exit: Exit, args: &[&str]) -> Outcome {
        match self.fogline(args).await {
            Err(failure) if failure.exit == exit => {
                for line in format!("error: {failure}").lines().filter(|line| !line.is_empty()) {
                    show!("{}", output::clean(line));
                }
                show!("(exit code {})", exit as u8);
                Ok(())
            }
            Err(failure) => Err(failure),
            Ok(()) => Err(Failure::general("that should have been refused, and was not")),
        }
    }

    /// Stops the server and whatever is left, and proves that nothing is.
    ///
    /// # Errors
    /// When something was left running that should not have been.
    pub async fn clear_away(mut self) -> Outcome {
        if let Some(mut server) = self.server.take() {
            show!("$ kill -INT $!      (Ctrl-C for the server)");
            if let Some(pid) = server.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                // Where it is gone already, the check below tells what that left.
                let _ = kill_process(pid, Signal::INT);
            }
            if timeout(SERVER_WITHIN, server.wait()).await.is_err() {
                let _ = server.kill().await;
            }
        }
        let left = kill_all(&self.root);
        if !left.is_empty() {
            let mut failure = Failure::general("the demo left processes running, and has killed them now");
            failure.causes = left.iter().map(|(pid, left)| format!("{pid}: {}", left.line)).collect();
            return Err(failure);
        }
        show!("No process of the demo is left running.");
        if let Some(dir) = self.dir.take() {
            self.remove(dir)?;
        }
        Ok(())
    }

    fn remove(&self, dir: TempDir) -> Outcome {
        dir.close()
            .map_err(|error| Failure::general(format!("cannot remove {}", self.root.display())).because(error))?;
        let end = if self.root.exists() { "is kept" } else { "is removed" };
        show!("{} {end}.", self.root.display());
        Ok(())
    }

    /// The directory of everything.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// An argument as a shell would need it.
fn quoted(arg: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:=,".contains(byte);
    let is_plain = !arg.is_empty() && std::ffi::OsStr::new(arg).as_bytes().iter().all(plain);
    if is_plain { arg.to_owned() } else { format!("'{}'", arg.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        for (arg, shown) in
            [("--wait", "--wait"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$PORT", "'$PORT'")]
        {
            assert_eq!(quoted(arg), shown);
        }
    }
}
