//! One batch, one call of the function `commit_batch`, which the migrations make: lease, rows and commit are one round
//! trip, and no transaction is ever open while this process is not being heard. Why so: docs/adr/0014.

mod arrays;

use fogline_core::cluster::Changes;
use fogline_core::id::DeploymentId;
use sqlx::postgres::PgArguments;
use sqlx::types::Uuid;
use sqlx::{Arguments, AssertSqlSafe};

use self::arrays::{Array, Arrays};
use super::PostgresStore;
use super::writer::{Query, Right};
use crate::error::CommitError;
use crate::lease::Lease;
use crate::table::{Record, Size, added, changed, changed_from, freed_names};

impl PostgresStore {
    pub(crate) async fn commit(&self, lease: &Lease, changes: &Changes) -> Result<u64, CommitError> {
        let right = Right::of(lease).ok_or(CommitError::Fenced)?;
        let mut writer = self.writer.lock().await;
        let revision = writer.advance(&right, |after| Call::of(&right, after, changes).into_query()).await?;
        revision.map(i64::unsigned_abs).ok_or(CommitError::Fenced)
    }
}

/// A call with only those parameters that hold something.
struct Call {
    sql: String,
    arguments: PgArguments,
}

impl Call {
    fn of(right: &Right, after: i64, changes: &Changes) -> Self {
        let mut call = Self { sql: "SELECT commit_batch($1, $2, $3".to_owned(), arguments: PgArguments::default() };
        call.arguments.add(right.epoch).expect("a number");
        call.arguments.add(right.holder.as_str()).expect("text");
        call.arguments.add(after).expect("a number");
        call.rows("users_changed", &changed(&changes.users));
        call.rows("users_added", &added(&changes.users));
        call.ids("users_removed", changes.users.removals().map(|id| id.as_uuid()));
        call.rows("nodes_changed", &changed(&changes.nodes));
        call.rows("nodes_added", &added(&changes.nodes));
        call.ids("nodes_removed", changes.nodes.removals().map(|id| id.as_uuid()));
        call.deployments(changes);
        call.rows("revisions_added", &changes.revisions);
        call.image_digests(changes);
        call.rows("replicas_changed", &changed(&changes.replicas));
        call.rows("replicas_added", &added(&changes.replicas));
        call.ids("replicas_removed", changes.replicas.removals().map(|id| id.as_uuid()));
        call.scaling(changes);
        call.rows("sessions_changed", &changed(&changes.sessions));
        call.rows("sessions_added", &added(&changes.sessions));
        call.ids("sessions_removed", changes.sessions.removals().map(|id| id.as_uuid()));
        call.rows("history_added", &changes.history);
        call.rows("audit_added", &changes.audit);
        call.rows("keys_added", &changes.idempotency);
        call.sql.push(')');
        call
    }

    /// Each with its row of `deployment_resources`.
    fn deployments(&mut self, changes: &Changes) {
        let deployments = &changes.deployments;
        let resized = changed_from(deployments).filter(|(before, after)| before.spec.resources != after.spec.resources);
        let added = added(deployments);
        self.rows("deployments_changed", &changed(deployments));
        self.rows("resources_changed", &resized.map(|(_, after)| Size(after)).collect::<Vec<_>>());
        self.rows("deployments_added", &added);
        self.rows("resources_added", &added.into_iter().map(Size).collect::<Vec<_>>());
        self.ids("deployments_removed", deployments.removals().map(|id| id.as_uuid()));
    }

    /// What the images of revisions that are there already turned out to be.
    fn image_digests(&mut self, changes: &Changes) {
        let (mut deployments, mut revisions, mut digests) = (Array::IDS, Array::NUMBERS, Array::TEXTS);
        for ((deployment, revision), edit) in changes.image_digests.iter() {
            let Some(digest) = &edit.after else { continue };
            let deployment: DeploymentId = deployment;
            deployments.push(Some(deployment.as_uuid().as_bytes()));
            revisions.push(Some(&i64::from(revision).to_be_bytes()));
            digests.push(Some(digest.as_str().as_bytes()));
        }
        if !deployments.is_empty() {
            self.array("pinned_deployments", deployments);
            self.array("pinned_revisions", revisions);
            self.array("pinned_digests", digests);
        }
    }

    fn scaling(&mut self, changes: &Changes) {
        let (policies, states) = (&changes.policies, &changes.scaling_states);
        self.ids("policies_freed", freed_names(policies).into_iter().map(|id| id.as_uuid()));
        self.rows("policies_changed", &changed(policies));
        self.rows("policies_added", &added(policies));
        self.ids("policies_removed", policies.removals().map(|id| id.as_uuid()));
        self.rows("policy_versions_added", &changes.policy_versions);
        self.rows("scaling_states_changed", &changed(states));
        self.rows("scaling_states_added", &added(states));
        let mut removed = Array::TEXTS;
        states.removals().for_each(|target| removed.push(Some(target.to_string().as_bytes())));
        if !removed.is_empty() {
            self.array("scaling_states_removed", removed);
        }
        self.rows("decisions_changed", &changed(&changes.decisions));
        self.rows("decisions_added", &added(&changes.decisions));
    }

    /// Whole rows. They go as one array a column, and become rows of the table's own type there.
    fn rows<R: Record>(&mut self, name: &str, rows: &[R]) {
        if rows.is_empty() {
            return;
        }
        let mut arrays = Arrays::default();
        rows.iter().for_each(|row| arrays.row(row));
        let parameters: Vec<String> = arrays.columns().map(|array| self.parameter(array)).collect();
        let (table, parameters) = (R::TABLE.name, parameters.join(", "));
        self.sql += &format!(", {name} => ARRAY(SELECT ROW(given.*)::{table} FROM unnest({parameters}) AS given)");
    }

    fn ids(&mut self, name: &str, ids: impl Iterator<Item = Uuid>) {
        let mut array = Array::IDS;
        ids.for_each(|id| array.push(Some(id.as_bytes())));
        if !array.is_empty() {
            self.array(name, array);
        }
    }

    fn array(&mut self, name: &str, array: Array) {
        let parameter = self.parameter(array);
        self.sql += &format!(", {name} => {parameter}");
    }

    /// Adds a parameter, and says how the statement names it.
    fn parameter(&mut self, array: Array) -> String {
        self.arguments.add(array).expect("its bytes are made already");
        format!("${}", self.arguments.len())
    }

    fn into_query(self) -> Query<'static> {
        // Made of the constants of this program alone: every value is a parameter.
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments)
    }
}
