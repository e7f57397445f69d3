//! Adding, changing and removing users.
//!
//! Invariant: there is always an administrator who can log in.

use super::{Actor, Outcome, Rejection};
use crate::cluster::{Changes, Cluster};
use crate::id::{DeploymentId, SessionId, UserId};
use crate::record::{PasswordHash, Role, ScalingTarget, Tier, UserRecord};
use crate::spec::validate_username;
use crate::time::Timestamp;

/// What may change of a user; `None` stays.
pub(super) struct UserUpdate<'a> {
    pub password_hash: Option<&'a PasswordHash>,
    pub role: Option<Role>,
    pub tier: Option<Tier>,
    pub disabled: Option<bool>,
}

impl Cluster {
    #[expect(clippy::too_many_arguments, reason = "the columns of a user")]
    pub(super) fn create_user(
        &mut self,
        actor: &Actor,
        username: &str,
        password_hash: &PasswordHash,
        role: Role,
        tier: Tier,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_admin("creating users")?;
        validate_username("username", username).map_err(Rejection::field)?;
        if self.user_named(username).is_some() {
            return Err(Rejection::NameTaken { kind: "user", name: username.to_owned() });
        }
        let user_id = self.new_id(now);
        let record = UserRecord {
            id: user_id,
            username: username.to_owned(),
            password_hash: password_hash.clone(),
            role,
            tier,
            disabled: false,
            created_at: now,
            updated_at: now,
        };
        self.put_user(changes, record);
        Ok(Outcome::UserCreated { user_id })
    }

    pub(super) fn update_user(
        &mut self,
        actor: &Actor,
        user_id: UserId,
        update: &UserUpdate<'_>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        let only_own_password = update.role.is_none() && update.tier.is_none() && update.disabled.is_none();
        if actor.user_id() != Some(user_id) || !only_own_password {
            actor.must_be_admin("changing users")?;
        }
        let mut user = self.known_user(user_id)?.clone();
        let demoted = update.role.is_some_and(|role| role != Role::Admin) || update.disabled == Some(true);
        if demoted && self.is_last_admin(&user) {
            return Err(Rejection::LastAdministrator(
                "the last administrator can neither be disabled nor lose the role",
            ));
        }
        if let Some(hash) = update.password_hash {
            user.password_hash = hash.clone();
        }
        user.role = update.role.unwrap_or(user.role);
        user.tier = update.tier.unwrap_or(user.tier);
        user.disabled = update.disabled.unwrap_or(user.disabled);
        user.updated_at = now;
        self.put_user(changes, user);
        if update.password_hash.is_some() || update.role.is_some() || update.disabled == Some(true) {
            self.end_sessions_of(user_id, now, changes);
        }
        Ok(Outcome::UserUpdated { user_id })
    }

    pub(super) fn delete_user(
        &mut self,
        actor: &Actor,
        user_id: UserId,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Outcome, Rejection> {
        actor.must_be_admin("deleting users")?;
        let user = self.known_user(user_id)?;
        if self.is_last_admin(user) {
            return Err(Rejection::LastAdministrator("the last administrator cannot be deleted"));
        }
        let owned: Vec<DeploymentId> = self.deployments_of(user_id).map(|deployment| deployment.record.id).collect();
        let running: usize = self.deployments_of(user_id).map(|deployment| deployment.replicas.len()).sum();
        if running > 0 {
            let replicas = u32::try_from(running).unwrap_or(u32::MAX);
            return Err(Rejection::StillInUse { kind: "user", name: user.username.clone(), replicas });
        }
        self.drop_policies_of(user_id, now, changes);
        for id in owned {
            self.drop_policies_on(&ScalingTarget::Deployment(id), now, changes);
            self.remove_deployment(changes, id);
        }
        let sessions: Vec<SessionId> = self.sessions_of(user_id).collect();
        for id in sessions {
            self.remove_session(changes, id);
        }
        self.remove_user(changes, user_id);
        Ok(Outcome::UserDeleted { user_id })
    }

    fn is_last_admin(&self, user: &UserRecord) -> bool {
        let serves = |user: &UserRecord| user.role == Role::Admin && !user.disabled;
        serves(user) && self.users().filter(|other| serves(other)).count() == 1
    }
}
