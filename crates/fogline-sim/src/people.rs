//! People who deploy, scale, update, stop and delete, and remember what they were answered.
//!
//! One person has one deployment at a time and waits for each answer, so what must be there afterwards is known: what
//! was acknowledged last, or what was asked for since and never answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use fogline_core::command::{Actor, Command, Outcome, Request};
use fogline_core::id::{DeploymentId, UserId};
use fogline_core::record::Role;
use fogline_core::spec::DeploymentSpec;
use fogline_core::state::DeploymentStatus;

use crate::rng::Rng;
use crate::server::Refusal;
use crate::store::Store;

/// What a deployment is like, as far as its owner cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Absent,
    Wanted { replicas: u32, version: u32 },
    Stopped { replicas: u32, version: u32 },
    Deleted,
}

struct Person {
    name: String,
    lives: u32,
    id: Option<DeploymentId>,
    /// What it may be like now; more than one where an answer is missing.
    possible: Vec<State>,
    /// The request that is under way, and what it will be like if it is done.
    asked: Option<(u64, State)>,
    requests: u64,
}

/// Everybody.
pub struct People {
    admin: UserId,
    people: Vec<Person>,
    /// What became of deployments that their owners have done with: name, and what it may be like.
    past: BTreeMap<String, Vec<State>>,
    /// Changes that were acknowledged.
    pub acknowledged: u64,
}

impl People {
    /// So many people, all with the administrator's login.
    #[must_use]
    pub fn new(count: usize, admin: UserId) -> Self {
        let people = (0..count)
            .map(|number| Person {
                name: format!("p{number}-0"),
                lives: 0,
                id: None,
                possible: vec![State::Absent],
                asked: None,
                requests: 0,
            })
            .collect();
        Self { admin, people, past: BTreeMap::new(), acknowledged: 0 }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.people.len()
    }

    /// What a person asks for next, and the request's number; nothing while they wait for an answer.
    pub fn ask(&mut self, number: usize, rng: &mut Rng, store: &Store) -> Option<(u64, Request)> {
        let person = &mut self.people[number];
        if person.asked.is_some() {
            return None;
        }
        if person.possible.len() > 1 {
            // As a person would after a time-out: look what became of it.
            person.look(store);
        }
        let (command, then) = person.wish(rng)?;
        person.requests += 1;
        person.asked = Some((person.requests, then));
        let actor = Actor::User { id: self.admin, name: "admin".to_owned(), role: Role::Admin };
        Some((person.requests, Request { actor, command, idempotency: None, remote: None }))
    }

    /// An answer arrives.
    pub fn hear(&mut self, number: usize, request: u64, result: &Result<Outcome, Refusal>) {
        let person = &mut self.people[number];
        let Some((_, then)) = person.asked.take_if(|(asked, _)| *asked == request) else { return };
        match result {
            Ok(outcome) => {
                self.acknowledged += 1;
                if let Outcome::Deployed { deployment_id, .. } = outcome {
                    person.id = Some(*deployment_id);
                }
                person.possible = vec![then];
                if then == State::Deleted {
                    self.past.insert(person.name.clone(), vec![then]);
                    person.begin_anew();
                }
            }
            Err(Refusal::Rejected(_) | Refusal::Full) => {}
            Err(Refusal::Unknown) => person.possible.push(then),
        }
    }

    /// The server is gone: whatever was under way will never be answered.
    pub fn lose_answers(&mut self) {
        for person in &mut self.people {
            if let Some((_, then)) = person.asked.take() {
                person.possible.push(then);
            }
        }
    }

    /// Compares what people were told with what is there.
    ///
    /// # Errors
    /// The first deployment that is not what its owner was told (I1).
    pub fn check(&self, store: &Store) -> Result<(), String> {
        let present = self.people.iter().map(|person| {
            let mut possible = person.possible.clone();
            possible.extend(person.asked.map(|(_, then)| then));
            (&person.name, possible)
        });
        let past = self.past.iter().map(|(name, possible)| (name, possible.clone()));
        for (name, possible) in present.chain(past) {
            let actual = state_of(store, name);
            if !possible.contains(&actual) {
                return Err(format!("I1: {name} is {actual:?}, but its owner was told {possible:?}"));
            }
        }
        Ok(())
    }
}

impl Person {
    fn look(&mut self, store: &Store) {
        self.id = store.deployments().find(|row| row.spec.name == self.name).map(|row| row.id);
        self.possible = vec![state_of(store, &self.name)];
        if self.possible == [State::Deleted] {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        self.lives += 1;
        let stem = self.name.split('-').next().unwrap_or_default().to_owned();
        self.name = format!("{stem}-{}", self.lives);
        self.id = None;
        self.possible = vec![State::Absent];
    }

    fn wish(&self, rng: &mut Rng) -> Option<(Command, State)> {
        let replicas = u32::try_from(rng.between(1, 6)).unwrap_or(1);
        let (state, id) = (*self.possible.first()?, self.id);
        let spec = |replicas, version| Arc::new(spec(&self.name, replicas, version));
        Some(match (state, id) {
            (State::Absent, _) => (Command::Deploy { spec: spec(replicas, 0) }, State::Wanted { replicas, version: 0 }),
            (State::Wanted { replicas: now, version }, Some(deployment_id)) => match rng.between(0, 10) {
                0 => (Command::StopDeployment { deployment_id }, State::Stopped { replicas: now, version }),
                1 => (Command::DeleteDeployment { deployment_id }, State::Deleted),
                2 => {
                    let version = version + 1;
                    let spec = spec(now, version);
                    (
                        Command::UpdateDeployment { deployment_id, spec, based_on: None },
                        State::Wanted { replicas: now, version },
                    )
                }
                _ => {
                    let command = Command::ScaleDeployment { deployment_id, replicas: i64::from(replicas) };
                    (command, State::Wanted { replicas, version })
                }
            },
            (State::Stopped { replicas, version }, Some(deployment_id)) => {
                (Command::StartDeployment { deployment_id }, State::Wanted { replicas, version })
            }
            _ => return None,
        })
    }
}

fn state_of(store: &Store, name: &str) -> State {
    let Some(row) = store.deployments().find(|row| row.spec.name == name) else { return State::Absent };
    let version = row.spec.env.get("VERSION").and_then(|text| text.parse().ok()).unwrap_or(0);
    let replicas = row.target_replicas;
    match row.status {
        DeploymentStatus::Deleted => State::Deleted,
        DeploymentStatus::Stopped => State::Stopped { replicas, version },
        _ => State::Wanted { replicas, version },
    }
}

fn spec(name: &str, replicas: u32, version: u32) -> DeploymentSpec {
    let json = serde_json::json!({
        "name": name, "replicas": replicas, "command": ["service"], "port": 8080,
        "env": {"VERSION": version.to_string()}, "grace_s": 2,
        "resources": {"cpu": 0.5, "memory": 512, "storage": 1},
    });
    serde_json::from_value(json).expect("a spec that is written here parses")
}
