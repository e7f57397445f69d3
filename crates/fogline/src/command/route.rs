//! `fogline route`: where requests come in, and what is behind it.

use clap::{Args, Subcommand};
use fogline_api::http::RouteResponse;
use fogline_core::spec::RouteSpec;

use crate::env::Environment;
use crate::exit::Outcome;
use crate::output::{Paint, Table};
use crate::route_text;
use crate::session::{ClientArgs, Session};

/// Flags of `fogline route`.
#[derive(Debug, Args)]
pub struct RouteArgs {
    #[command(subcommand)]
    command: Option<RouteCommand>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum RouteCommand {
    /// List routes, with what is behind them and where they lead in
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints them.
pub async fn run(args: RouteArgs, environment: &Environment) -> Outcome {
    let client = match args.command {
        Some(RouteCommand::List(list)) => list.client,
        None => args.client,
    };
    let session = Session::open(&client, environment)?;
    let routes = session.client().await?.routes().await?;
    session.output.print(&routes, |paint| table(&routes, paint))
}

fn table(routes: &[RouteResponse], paint: Paint) -> String {
    let mut table = Table::new(paint, &["ROUTE", "DEPLOYMENT", "READY", "REQ/S", "STATE", "WHERE"]);
    for one in routes {
        let state = match &one.trouble {
            Some(trouble) => trouble.as_str(),
            None if one.asleep => "asleep",
            None if one.upstreams_ready == 0 => "nothing is ready",
            None => "open",
        };
        table.row(&[
            route_text::shown(&spec(one)),
            one.deployment.clone(),
            format!("{}/{}", one.upstreams_ready, one.upstreams),
            one.request_rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
            state.to_owned(),
            place(one),
        ]);
    }
    table.render("no routes; `fogline deploy --route HOST …`, or `routes:` in a spec, makes one")
}

/// One line for a person: the route, and where it leads in.
pub(super) fn line(route: &RouteResponse) -> String {
    let shown = route_text::shown(&spec(route));
    if route.listeners.is_empty() { shown } else { format!("{shown} at {}", place(route)) }
}

/// The first URL, and how many more there are.
fn place(route: &RouteResponse) -> String {
    match route.listeners.as_slice() {
        // None is attached, or only administrators are told where.
        [] => "-".to_owned(),
        [only] => route_text::url(&spec(route), only),
        [first, more @ ..] => format!("{} (+{})", route_text::url(&spec(route), first), more.len()),
    }
}

fn spec(route: &RouteResponse) -> RouteSpec {
    RouteSpec {
        host: route.host.clone(),
        path: route.path.clone(),
        strip_path: route.strip_path,
        tcp_port: route.tcp_port,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn route(fields: &Value) -> RouteResponse {
        let mut all = json!({
            "host": "web.localhost", "path": "/", "strip_path": false, "asleep": false, "upstreams_ready": 2,
            "upstreams": 3, "request_rate": 12.34, "deployment": "web",
            "deployment_id": "00000000-0000-7000-8000-000000000001",
            "user_id": "00000000-0000-7000-8000-000000000002", "listeners": ["http://127.0.0.1:8080"],
        });
        all.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        serde_json::from_value(all).expect("a route")
    }

    #[test]
    fn a_line_says_what_is_behind_a_route_and_where_it_is() {
        let tcp = json!({
            "host": null, "path": null, "tcp_port": 5432, "asleep": true, "upstreams_ready": 0, "upstreams": 0,
            "request_rate": null, "listeners": ["tcp://127.0.0.1:5432", "tcp://[::1]:5432"],
        });
        let broken = json!({"path": "/api", "trouble": "exit\u{1b}[2J", "listeners": []});
        let shown = table(&[route(&json!({})), route(&tcp), route(&broken)], Paint { colors: false });
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["web.localhost", "web", "2/3", "12.3", "open", "http://web.localhost:8080/"], "{shown}");
        assert_eq!(lines[2], ["tcp:5432", "web", "0/0", "-", "asleep", "tcp://127.0.0.1:5432", "(+1)"], "{shown}");
        assert_eq!(lines[3][0], "web.localhost/api");
        assert!(lines[3].ends_with(&["-"]) && !shown.contains('\u{1b}'), "{shown}");
    }
}
