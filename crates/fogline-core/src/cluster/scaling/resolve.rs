//! What people mean by a target, and which policies they may see.
//!
//! Invariant: what is not the caller's looks exactly as if it were not there.

use crate::cluster::Cluster;
use crate::command::{Actor, Rejection};
use crate::id::{DeploymentId, PolicyId, UserId, canonical_id};
use crate::record::{PolicyRecord, ScalingTarget};
use crate::spec::FieldError;
use crate::state::DeploymentStatus;

const DEPLOYMENT: &str = "deployment";
/// A deployment, or something outside that is reached by a webhook.
const PROXY: &str = "proxy";

impl Cluster {
    /// A policy that the actor may see: one on their deployment, their own on something outside, any for administrators.
    ///
    /// # Errors
    /// [`Rejection::NotFound`].
    pub fn visible_policy(&self, actor: &Actor, id: PolicyId) -> Result<&PolicyRecord, Rejection> {
        // Whoever wrote it: what it decides, and from what, is the business of the target's owner.
        let theirs = |policy: &&PolicyRecord| self.visible_target(actor, &policy.target).is_ok();
        self.policy(id).filter(theirs).ok_or_else(|| Rejection::NotFound { kind: "scaling policy", id: id.to_string() })
    }

    /// A target that the actor may see: their deployment, something outside of theirs, any for administrators.
    ///
    /// # Errors
    /// [`Rejection::NotFound`].
    pub fn visible_target(&self, actor: &Actor, target: &ScalingTarget) -> Result<(), Rejection> {
        let theirs = match target {
            ScalingTarget::Deployment(id) => self.visible_deployment(actor, *id).is_ok(),
            ScalingTarget::Outside { owner, .. } => actor.is_admin() || actor.user_id() == Some(*owner),
        };
        if theirs {
            return Ok(());
        }
        Err(Rejection::NotFound { kind: "scaling target", id: target.to_string() })
    }

    /// What the actor means by a target's type and id. A deployment is found by id or name, for `proxy` too; any other
    /// name is something outside. Administrators find everybody's deployments by id, and by a name that only one has.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] where `deployment` names none that the actor may see, or a name means several.
    pub fn resolve_target(
        &self,
        actor: &Actor,
        target_type: &str,
        target_id: Option<&str>,
    ) -> Result<ScalingTarget, Rejection> {
        let owner = actor.user_id().ok_or(Rejection::Forbidden { action: "naming a target", needed: "user" })?;
        self.target_of(owner, actor.is_admin(), target_type, target_id)
    }

    /// As [`Self::resolve_target`], for a policy that is `owner`'s; `everything` where the one who asks may see all.
    pub(crate) fn target_of(
        &self,
        owner: UserId,
        everything: bool,
        target_type: &str,
        target_id: Option<&str>,
    ) -> Result<ScalingTarget, Rejection> {
        if target_type == DEPLOYMENT || target_type == PROXY {
            let refused = |message: String| {
                let accepted = "id or name of a deployment of yours";
                Rejection::field(FieldError::new("target_id", message, accepted))
            };
            let found = match target_id {
                Some(text) => self.deployment_meant(owner, everything, text).map_err(refused)?,
                None => None,
            };
            match (found, target_id) {
                (Some(id), _) => return Ok(ScalingTarget::Deployment(id)),
                (None, Some(text)) if target_type == DEPLOYMENT => {
                    return Err(refused(format!("{text:?} is no deployment, or not yours")));
                }
                (None, None) if target_type == DEPLOYMENT => return Err(refused("is missing".to_owned())),
                (None, _) => {}
            }
        }
        Ok(ScalingTarget::Outside {
            owner,
            target_type: target_type.to_owned(),
            target_id: target_id.unwrap_or_default().to_owned(),
        })
    }

    fn deployment_meant(&self, owner: UserId, everything: bool, text: &str) -> Result<Option<DeploymentId>, String> {
        if let Some(id) = canonical_id::<DeploymentId>(text) {
            let there = self.deployment(id).map(|deployment| &deployment.record);
            let theirs = there.filter(|record| record.status != DeploymentStatus::Deleted);
            return Ok(theirs.filter(|record| everything || record.user_id == owner).map(|record| record.id));
        }
        if let Some(own) = self.deployment_named(owner, text) {
            return Ok(Some(own.record.id));
        }
        if !everything {
            return Ok(None);
        }
        let mut named = self.users().filter_map(|user| self.deployment_named(user.id, text));
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => Err(format!("{text:?} is the name of several users' deployments: give the id")),
            (found, _) => Ok(found.map(|deployment| deployment.record.id)),
        }
    }
}
