//! Deployments, each with its row of `deployment_resources`, and their revisions.

use fogline_core::cluster::RevisionRecord;
use fogline_core::image_digest::ImageDigest;
use fogline_core::record::DeploymentRecord;

use super::{Record, Table, Values};

impl Record for DeploymentRecord {
    const TABLE: Table = Table {
        name: "deployments",
        columns: &[
            "id",
            "name",
            "user_id",
            "container_image",
            "runtime",
            "status",
            "target_replicas",
            "revision",
            "history_seq",
            "spec",
            "created_at",
            "updated_at",
            "deleted_at",
        ],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.id.as_uuid());
        to.text(&self.spec.name);
        to.id(self.user_id.as_uuid());
        to.optional_text(self.spec.container_image.as_deref());
        to.text(self.spec.runtime().as_str());
        to.text(self.status.as_str());
        to.number(self.target_replicas);
        to.number(self.revision);
        to.number(self.history_seq);
        to.json(&*self.spec);
        to.time(self.created_at);
        to.time(self.updated_at);
        to.optional_time(self.deleted_at);
    }
}

/// What a deployment asks for. One to one, so it goes by its deployment's id.
pub(crate) struct Size<'r>(pub(crate) &'r DeploymentRecord);

impl Record for Size<'_> {
    const TABLE: Table = Table {
        name: "deployment_resources",
        columns: &["id", "deployment_id", "cpu_cores", "memory_mb", "gpu_units", "storage_gb"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.0.id.as_uuid());
        to.id(self.0.id.as_uuid());
        to.resources(self.0.spec.resources);
    }
}

impl Record for RevisionRecord {
    const TABLE: Table = Table {
        name: "deployment_revisions",
        columns: &["deployment_id", "revision", "spec", "created_at", "created_by", "image_digest"],
    };

    fn values(&self, to: &mut impl Values) {
        to.id(self.deployment_id.as_uuid());
        to.number(self.revision);
        to.json(&*self.spec);
        to.time(self.created_at);
        to.optional_id(self.created_by.map(|id| id.as_uuid()));
        to.optional_text(self.image_digest.as_ref().map(ImageDigest::as_str));
    }
}
