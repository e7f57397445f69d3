//! A small language for planner tests: one command a line, and the answer is what the cluster changed.
//!
//! Nodes are n1, n2, …, replicas r1, r2, … in the order in which they were made.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use fogline_core::cluster::Changes;
use fogline_core::command::{Command, Outcome, Rejection};
use fogline_core::id::{NodeId, ReplicaId};
use fogline_core::image_digest::ImageDigest;
use fogline_core::observation::ReportedState;
use fogline_core::spec::{DeploymentSpec, Runtime};

use crate::world::{self, World};

pub fn run(script: &str) -> String {
    let mut player =
        Player { world: World::new(), nodes: 0, numbers: HashMap::new(), silent: Vec::new(), out: String::new() };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            writeln!(player.out, "{line}").expect("writes");
            continue;
        }
        writeln!(player.out, "> {line}").expect("writes");
        player.line(line);
    }
    player.out
}

struct Player {
    world: World,
    nodes: usize,
    numbers: HashMap<ReplicaId, usize>,
    silent: Vec<NodeId>,
    out: String,
}

impl Player {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let options: HashMap<&str, &str> = words.iter().filter_map(|word| word.split_once('=')).collect();
        let number = |key: &str, default: f64| options.get(key).map_or(default, |text| text.parse().expect("a number"));
        match words[0] {
            "nodes" => {
                let runtime =
                    if options.get("runtime") == Some(&"docker") { Runtime::Docker } else { Runtime::Process };
                let room = world::resources(number("cpu", 4.0), number("memory", 8_192.0) as u32);
                let room = fogline_core::quantity::Resources { storage_gb: 1_000, ..room };
                for _ in 0..words[1].parse().expect("a count") {
                    self.nodes += 1;
                    let name = format!("n{}", self.nodes);
                    let (region, zone) = (options.get("region").unwrap_or(&"r"), options.get("zone").unwrap_or(&"z"));
                    let changes = self.world.add_node(&name, region, zone, room, &[runtime]);
                    self.tell(&changes);
                }
            }
            "deploy" => {
                let mut spec =
                    world::spec(words[1], number("replicas", 1.0) as u32, world::resources(number("cpu", 1.0), 512));
                apply_options(&mut spec, &options);
                let outcome = self.world.as_admin(world::deploy(spec));
                self.answer(outcome);
            }
            "update" => {
                let id = self.world.deployment(words[1]);
                let known = self.world.cluster.deployment(id).expect("there").record.spec.clone();
                let mut spec = (*known).clone();
                if let Some(cores) = options.get("cpu") {
                    spec.resources.cpu_millis = world::resources(cores.parse().expect("a number"), 512).cpu_millis;
                }
                spec.replicas = number("replicas", f64::from(spec.replicas)) as u32;
                apply_options(&mut spec, &options);
                let outcome = self.world.as_admin(Command::UpdateDeployment {
                    deployment_id: id,
                    spec: Arc::new(spec),
                    based_on: None,
                });
                self.answer(outcome);
            }
            "scale" => {
                let deployment_id = self.world.deployment(words[1]);
                let replicas = words[2].parse().expect("a count");
                let outcome = self.world.as_admin(Command::ScaleDeployment { deployment_id, replicas });
                self.answer(outcome);
            }
            "stop" | "start" | "delete" => {
                let deployment_id = self.world.deployment(words[1]);
                let outcome = self.world.as_admin(match words[0] {
                    "stop" => Command::StopDeployment { deployment_id },
                    "start" => Command::StartDeployment { deployment_id },
                    _ => Command::DeleteDeployment { deployment_id },
                });
                self.answer(outcome);
            }
            "cordon" | "drain" | "uncordon" => {
                let node_id = self.world.node(words[1]);
                let set = words[0] != "uncordon";
                let draining = (words[0] != "cordon").then_some(set);
                let outcome =
                    self.world.as_admin(Command::UpdateNode { node_id, cordoned: Some(set), draining, labels: None });
                self.answer(outcome);
            }
            "remove" => {
                let node_id = self.world.node(words[1]);
                let outcome = self.world.as_admin(Command::DeleteNode { node_id, force: words.contains(&"force") });
                self.answer(outcome);
            }
            // Every agent that is heard does everything it is told, step by step.
            "agents" => {
                let nodes = self.heard();
                for _ in 0..1_000 {
                    if !self.world.agents_obey_once(&nodes) {
                        break;
                    }
                }
                self.show();
            }
            // One step only, to look at what happens in between.
            "agents-step" => {
                let nodes = self.heard();
                self.world.agents_obey_once(&nodes);
                self.show();
            }
            "silence" => self.silent.push(self.world.node(words[1])),
            "return" => {
                let node = self.world.node(words[1]);
                self.silent.retain(|silent| *silent != node);
            }
            "wait" => {
                let heard = self.heard();
                let changes = self.world.advance(Duration::from_secs(words[1].parse().expect("seconds")), &heard);
                self.tell(&changes);
            }
            "report" => {
                let wanted: usize = words[1].trim_start_matches('r').parse().expect("a replica");
                let id = *self.numbers.iter().find(|(_, number)| **number == wanted).expect("it was made").0;
                let node = self.world.cluster.replica(id).and_then(|replica| replica.node_id).expect("it is not gone");
                let (state, ready) = match words[2] {
                    "starting" => (ReportedState::Starting, false),
                    "running" => (ReportedState::Running, true),
                    "unready" => (ReportedState::Running, false),
                    "stopped" => (ReportedState::Stopped, false),
                    "failed" => (ReportedState::Failed, false),
                    other => panic!("no report {other}"),
                };
                // `image=a` stands for the digest that is all a's.
                let digest = options.get("image").map(|digit| digest(digit));
                let message: Vec<&str> = words[3..].iter().filter(|word| !word.contains('=')).copied().collect();
                let changes = self.world.report_image(node, id, state, ready, &message.join(" "), digest);
                self.tell(&changes);
            }
            "show" => self.show(),
            // What a node is told of each template that it is given.
            "told" => {
                let assignment = self.world.cluster.assignment(self.world.node(words[1]));
                for ((_, revision), told) in assignment.templates {
                    let digest = told.image_digest.as_ref().map_or("not known", ImageDigest::short);
                    writeln!(self.out, "  {} v{revision}: {digest}", told.deployment_name).expect("writes");
                }
            }
            // Another server takes over and knows what is in the rows.
            "take-over" => self.world.reload(),
            other => panic!("no command {other}"),
        }
    }

    fn heard(&self) -> Vec<NodeId> {
        let all = self.world.cluster.nodes().iter().map(|(_, node)| node.id);
        all.filter(|node| !self.silent.contains(node)).collect()
    }

    fn answer(&mut self, outcome: Result<(Outcome, Changes), Rejection>) {
        match outcome {
            Ok((_, changes)) => self.tell(&changes),
            Err(rejection) => writeln!(self.out, "  refused ({}): {rejection}", rejection.slug()).expect("writes"),
        }
    }

    fn tell(&mut self, changes: &Changes) {
        for replica in changes.replicas.upserts() {
            let next = self.numbers.len() + 1;
            self.numbers.entry(replica.id).or_insert(next);
        }
        for (id, edit) in changes.nodes.iter() {
            let name =
                edit.after.as_ref().or(edit.before.as_ref()).map_or_else(|| id.to_string(), |node| node.name.clone());
            let (before, after) = (edit.before.as_ref(), edit.after.as_ref());
            let liveness = after.map_or("removed", |node| node.liveness.as_str());
            if before.is_some() {
                writeln!(self.out, "  node {name}: {liveness}").expect("writes");
            }
        }
        for (id, edit) in changes.replicas.iter() {
            let before = edit.before.as_ref().map_or("none", |replica| replica.status.as_str());
            let Some(after) = &edit.after else { continue };
            let mut line = format!("  {} {before} -> {}", self.name(id), after.status);
            if edit.before.is_none() {
                let node = after.node_id.and_then(|node| self.world.cluster.nodes().get(node));
                write!(line, " on {}", node.map_or("nothing", |node| &node.name)).expect("writes");
                if let Some(replaced) = after.replaces {
                    write!(line, ", replaces {}", self.name(replaced)).expect("writes");
                }
            }
            if let Some(reason) = &after.reason {
                write!(line, " ({reason})").expect("writes");
            }
            writeln!(self.out, "{line}").expect("writes");
        }
        for ((_, revision), edit) in changes.image_digests.iter() {
            let (before, after) = (edit.before.as_ref(), edit.after.as_ref());
            let word = |digest: Option<&ImageDigest>| digest.map_or("not known", ImageDigest::short).to_owned();
            writeln!(self.out, "  image of v{revision}: {} -> {}", word(before), word(after)).expect("writes");
        }
        for line in &changes.history {
            writeln!(self.out, "  history {}: {} -> {}: {}", line.seq, line.old_status, line.new_status, line.reason)
                .expect("writes");
        }
    }

    fn name(&self, id: ReplicaId) -> String {
        self.numbers.get(&id).map_or_else(|| "r?".to_owned(), |number| format!("r{number}"))
    }

    fn show(&mut self) {
        let mut made: Vec<ReplicaId> = self.world.cluster.replicas().map(|replica| replica.id).collect();
        made.sort_unstable();
        for id in made {
            let next = self.numbers.len() + 1;
            self.numbers.entry(id).or_insert(next);
        }
        let mut deployments: Vec<_> = self.world.cluster.deployments().collect();
        deployments.sort_by_key(|deployment| deployment.record.id);
        for deployment in deployments {
            let record = &deployment.record;
            let mut line = format!("  {} {} wants {}:", record.spec.name, record.status, record.target_replicas);
            for replica in self.world.cluster.replicas_of(deployment) {
                let node = replica.node_id.and_then(|node| self.world.cluster.nodes().get(node));
                let node = node.map_or("nothing", |node| &node.name);
                write!(line, " {}@{node}/v{}:{}", self.name(replica.id), replica.revision, replica.status)
                    .expect("writes");
            }
            writeln!(self.out, "{line}").expect("writes");
        }
    }
}

fn digest(digit: &str) -> ImageDigest {
    format!("sha256:{}", digit.repeat(64)).parse().expect("a digit")
}

fn apply_options(spec: &mut DeploymentSpec, options: &HashMap<&str, &str>) {
    use fogline_core::spec::{ScaleDownOrder, Spread, WhenFull};
    for (key, value) in options {
        match *key {
            "image" => spec.container_image = Some((*value).to_owned()),
            "command" => spec.command = vec![(*value).to_owned()],
            "name" => spec.name = (*value).to_owned(),
            "runtime" => spec.runtime = Some(if *value == "docker" { Runtime::Docker } else { Runtime::Process }),
            "spread" => spec.placement.spread = if *value == "required" { Spread::Required } else { Spread::Preferred },
            "full" => spec.placement.when_full = if *value == "wait" { WhenFull::Wait } else { WhenFull::Fail },
            "order" => {
                spec.scale_down = match *value {
                    "newest" => ScaleDownOrder::Newest,
                    "most_stacked" => ScaleDownOrder::MostStacked,
                    _ => ScaleDownOrder::Oldest,
                };
            }
            _ => {}
        }
    }
}
