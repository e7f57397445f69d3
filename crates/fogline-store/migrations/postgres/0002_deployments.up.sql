-- What was asked for, what runs for it, and how it came to be so.
-- spec is the whole of what was asked for; the columns beside it are those that people and other tables look at.
CREATE TYPE deploymentstatus AS ENUM ('pending', 'scheduled', 'running', 'stopped', 'failed', 'deleted');
CREATE TYPE replicastatus AS ENUM ('pending', 'starting', 'running', 'stopping', 'stopped', 'failed');

CREATE TABLE deployments (
    id              UUID             NOT NULL PRIMARY KEY,
    name            TEXT             COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    user_id         UUID             NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    container_image TEXT,
    runtime         TEXT             NOT NULL CHECK (runtime IN ('docker', 'process')),
    status          deploymentstatus NOT NULL,
    target_replicas BIGINT           NOT NULL CHECK (target_replicas BETWEEN 0 AND 100),
    revision        BIGINT           NOT NULL CHECK (revision >= 1),
    history_seq     BIGINT           NOT NULL CHECK (history_seq >= 0),
    spec            JSONB            NOT NULL,
    created_at      TIMESTAMPTZ      NOT NULL,
    updated_at      TIMESTAMPTZ      NOT NULL,
    deleted_at      TIMESTAMPTZ,
    CHECK (container_image IS NOT NULL OR runtime = 'process'),
    CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
);
CREATE UNIQUE INDEX uq_deployments_user_id_name ON deployments (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX ix_deployments_user_id_deleted_at ON deployments (user_id, deleted_at);

CREATE TABLE deployment_resources (
    id            UUID   NOT NULL PRIMARY KEY,
    deployment_id UUID   NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    cpu_cores     FLOAT  NOT NULL CHECK (cpu_cores > 0),
    memory_mb     BIGINT NOT NULL CHECK (memory_mb > 0),
    gpu_units     BIGINT NOT NULL DEFAULT 0 CHECK (gpu_units >= 0),
    storage_gb    BIGINT NOT NULL CHECK (storage_gb >= 0)
);
CREATE UNIQUE INDEX uq_deployment_resources_deployment_id ON deployment_resources (deployment_id);

CREATE TABLE deployment_revisions (
    deployment_id UUID        NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    revision      BIGINT      NOT NULL CHECK (revision >= 1),
    spec          JSONB       NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    created_by    UUID        REFERENCES users (id) ON DELETE SET NULL,
    PRIMARY KEY (deployment_id, revision)
);
CREATE INDEX ix_deployment_revisions_created_by ON deployment_revisions (created_by);

-- replaces has no foreign key: the replica it names is pruned before this one is.
CREATE TABLE deployment_replicas (
    id            UUID          NOT NULL PRIMARY KEY,
    deployment_id UUID          NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    node_id       UUID          REFERENCES nodes (id) ON DELETE SET NULL,
    status        replicastatus NOT NULL,
    container_id  TEXT,
    started_at    TIMESTAMPTZ,
    stopped_at    TIMESTAMPTZ,
    created_at    TIMESTAMPTZ   NOT NULL,
    updated_at    TIMESTAMPTZ   NOT NULL,
    revision      BIGINT        NOT NULL CHECK (revision >= 1),
    cpu_cores     FLOAT         NOT NULL CHECK (cpu_cores >= 0),
    memory_mb     BIGINT        NOT NULL CHECK (memory_mb >= 0),
    gpu_units     BIGINT        NOT NULL CHECK (gpu_units >= 0),
    storage_gb    BIGINT        NOT NULL CHECK (storage_gb >= 0),
    host_port     BIGINT        CHECK (host_port BETWEEN 0 AND 65535),
    endpoint      TEXT,
    restarts      BIGINT        NOT NULL CHECK (restarts >= 0),
    replaces      UUID,
    exit_code     BIGINT,
    reason        TEXT
);
CREATE INDEX ix_deployment_replicas_deployment_id_status ON deployment_replicas (deployment_id, status);
CREATE INDEX ix_deployment_replicas_node_id ON deployment_replicas (node_id);

-- The first line of a deployment starts from no status at all, so these are words, not the enum.
CREATE TABLE deployment_status_history (
    id            UUID        NOT NULL PRIMARY KEY,
    deployment_id UUID        NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    seq           BIGINT      NOT NULL CHECK (seq >= 1),
    old_status    TEXT        NOT NULL
                  CHECK (old_status IN ('none', 'pending', 'scheduled', 'running', 'stopped', 'failed', 'deleted')),
    new_status    TEXT        NOT NULL
                  CHECK (new_status IN ('none', 'pending', 'scheduled', 'running', 'stopped', 'failed', 'deleted')),
    changed_by    UUID        REFERENCES users (id) ON DELETE SET NULL,
    changed_at    TIMESTAMPTZ NOT NULL,
    reason        TEXT        NOT NULL
);
CREATE UNIQUE INDEX uq_deployment_status_history_deployment_id_seq ON deployment_status_history (deployment_id, seq);
CREATE INDEX ix_deployment_status_history_deployment_id_changed_at
    ON deployment_status_history (deployment_id, changed_at);
CREATE INDEX ix_deployment_status_history_changed_by ON deployment_status_history (changed_by);

-- Two changes there are: whoever made the change is purged, and the deployment is, with all its lines.
CREATE FUNCTION keep_history() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT 1 FROM deployments WHERE deployments.id = OLD.deployment_id) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'deployment_status_history is append-only: a line is never removed'
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.changed_by IS NULL
        AND (NEW.id, NEW.deployment_id, NEW.seq, NEW.old_status, NEW.new_status, NEW.changed_at, NEW.reason)
            = (OLD.id, OLD.deployment_id, OLD.seq, OLD.old_status, OLD.new_status, OLD.changed_at, OLD.reason)
        AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = OLD.changed_by)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'deployment_status_history is append-only: a line is never changed'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER deployment_status_history_no_change BEFORE UPDATE OR DELETE ON deployment_status_history
    FOR EACH ROW EXECUTE FUNCTION keep_history();
CREATE TRIGGER deployment_status_history_no_truncate BEFORE TRUNCATE ON deployment_status_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
