-- What was asked for, what runs for it, and how it came to be so.
-- spec is the whole of what was asked for; the columns beside it are those that people and other tables look at.
CREATE TABLE deployments (
    id              TEXT    NOT NULL PRIMARY KEY,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    user_id         TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    container_image TEXT,
    runtime         TEXT    NOT NULL CHECK (runtime IN ('docker', 'process')),
    status          TEXT    NOT NULL
                    CHECK (status IN ('pending', 'scheduled', 'running', 'stopped', 'failed', 'deleted')),
    target_replicas INTEGER NOT NULL CHECK (target_replicas BETWEEN 0 AND 100),
    revision        INTEGER NOT NULL CHECK (revision >= 1),
    history_seq     INTEGER NOT NULL CHECK (history_seq >= 0),
    spec            TEXT    NOT NULL CHECK (json_valid(spec)),
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    deleted_at      BIGINT,
    CHECK (container_image IS NOT NULL OR runtime = 'process'),
    CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
);
CREATE UNIQUE INDEX uq_deployments_user_id_name ON deployments (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX ix_deployments_user_id_deleted_at ON deployments (user_id, deleted_at);

CREATE TABLE deployment_resources (
    id            TEXT    NOT NULL PRIMARY KEY,
    deployment_id TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    cpu_cores     FLOAT   NOT NULL CHECK (cpu_cores > 0),
    memory_mb     INTEGER NOT NULL CHECK (memory_mb > 0),
    gpu_units     INTEGER NOT NULL DEFAULT 0 CHECK (gpu_units >= 0),
    storage_gb    INTEGER NOT NULL CHECK (storage_gb >= 0)
);
CREATE UNIQUE INDEX uq_deployment_resources_deployment_id ON deployment_resources (deployment_id);

CREATE TABLE deployment_revisions (
    deployment_id TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    revision      INTEGER NOT NULL CHECK (revision >= 1),
    spec          TEXT    NOT NULL CHECK (json_valid(spec)),
    created_at    BIGINT  NOT NULL,
    created_by    TEXT    REFERENCES users (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (deployment_id, revision)
);
CREATE INDEX ix_deployment_revisions_created_by ON deployment_revisions (created_by);

-- replaces has no foreign key: the replica it names is pruned before this one is.
CREATE TABLE deployment_replicas (
    id            TEXT    NOT NULL PRIMARY KEY,
    deployment_id TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    node_id       TEXT    REFERENCES nodes (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    status        TEXT    NOT NULL
                  CHECK (status IN ('pending', 'starting', 'running', 'stopping', 'stopped', 'failed')),
    container_id  TEXT,
    started_at    BIGINT,
    stopped_at    BIGINT,
    created_at    BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL,
    revision      INTEGER NOT NULL CHECK (revision >= 1),
    cpu_cores     FLOAT   NOT NULL CHECK (cpu_cores >= 0),
    memory_mb     INTEGER NOT NULL CHECK (memory_mb >= 0),
    gpu_units     INTEGER NOT NULL CHECK (gpu_units >= 0),
    storage_gb    INTEGER NOT NULL CHECK (storage_gb >= 0),
    host_port     INTEGER CHECK (host_port BETWEEN 0 AND 65535),
    endpoint      TEXT,
    restarts      INTEGER NOT NULL CHECK (restarts >= 0),
    replaces      TEXT,
    exit_code     INTEGER,
    reason        TEXT
);
CREATE INDEX ix_deployment_replicas_deployment_id_status ON deployment_replicas (deployment_id, status);
CREATE INDEX ix_deployment_replicas_node_id ON deployment_replicas (node_id);

CREATE TABLE deployment_status_history (
    id            TEXT    NOT NULL PRIMARY KEY,
    deployment_id TEXT    NOT NULL REFERENCES deployments (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    seq           INTEGER NOT NULL CHECK (seq >= 1),
    old_status    TEXT    NOT NULL
                  CHECK (old_status IN ('none', 'pending', 'scheduled', 'running', 'stopped', 'failed', 'deleted')),
    new_status    TEXT    NOT NULL
                  CHECK (new_status IN ('none', 'pending', 'scheduled', 'running', 'stopped', 'failed', 'deleted')),
    changed_by    TEXT    REFERENCES users (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    changed_at    BIGINT  NOT NULL,
    reason        TEXT    NOT NULL
);
CREATE UNIQUE INDEX uq_deployment_status_history_deployment_id_seq ON deployment_status_history (deployment_id, seq);
CREATE INDEX ix_deployment_status_history_deployment_id_changed_at
    ON deployment_status_history (deployment_id, changed_at);
CREATE INDEX ix_deployment_status_history_changed_by ON deployment_status_history (changed_by);

-- The only change there ever is: whoever made the change is purged.
CREATE TRIGGER deployment_status_history_no_update BEFORE UPDATE ON deployment_status_history
WHEN NOT (
    NEW.changed_by IS NULL
    AND NEW.id IS OLD.id
    AND NEW.deployment_id IS OLD.deployment_id
    AND NEW.seq IS OLD.seq
    AND NEW.old_status IS OLD.old_status
    AND NEW.new_status IS OLD.new_status
    AND NEW.changed_at IS OLD.changed_at
    AND NEW.reason IS OLD.reason
    AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = OLD.changed_by)
)
BEGIN
    SELECT RAISE(ABORT, 'deployment_status_history is append-only: a line is never changed');
END;
-- A line goes only together with its deployment.
CREATE TRIGGER deployment_status_history_no_delete BEFORE DELETE ON deployment_status_history
WHEN EXISTS (SELECT 1 FROM deployments WHERE deployments.id = OLD.deployment_id)
BEGIN
    SELECT RAISE(ABORT, 'deployment_status_history is append-only: a line is never removed');
END;
