-- What scales by itself, what its arbiter remembers, and what it has decided.
-- spec is the whole of what was asked for; target is what target_type and target_id were found to be, as a key.
CREATE TYPE scalingaction AS ENUM ('scale_up', 'scale_down', 'hold');
CREATE TYPE decisionstatus AS ENUM ('pending', 'completed', 'failed');

CREATE TABLE scaling_policies (
    id          UUID        NOT NULL PRIMARY KEY,
    user_id     UUID        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        TEXT        COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    version     BIGINT      NOT NULL CHECK (version >= 1),
    target_type TEXT        NOT NULL,
    target_id   TEXT,
    target      TEXT        COLLATE "C" NOT NULL,
    enabled     BOOLEAN     NOT NULL,
    mode        TEXT        NOT NULL CHECK (mode IN ('active', 'shadow')),
    spec        JSONB       NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX uq_scaling_policies_user_id_name ON scaling_policies (user_id, name);
CREATE INDEX ix_scaling_policies_target ON scaling_policies (target);

CREATE TABLE scaling_policy_versions (
    policy_id  UUID        NOT NULL REFERENCES scaling_policies (id) ON DELETE CASCADE,
    version    BIGINT      NOT NULL CHECK (version >= 1),
    spec       JSONB       NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by UUID        REFERENCES users (id) ON DELETE SET NULL,
    PRIMARY KEY (policy_id, version)
);
CREATE INDEX ix_scaling_policy_versions_created_by ON scaling_policy_versions (created_by);

-- No foreign key: most targets have no row of their own, and a state outlives the last policy by its cooldowns.
CREATE TABLE scaling_states (
    target     TEXT        COLLATE "C" NOT NULL PRIMARY KEY,
    version    BIGINT      NOT NULL CHECK (version >= 1),
    replicas   BIGINT      CHECK (replicas >= 0),
    memory     JSONB       NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- No foreign keys: a decision outlives the policies, the target and the people that it tells of. decision is the whole
-- record; the columns beside it are those that lists look at.
CREATE TABLE scaling_decisions (
    id                UUID           NOT NULL PRIMARY KEY,
    target            TEXT           COLLATE "C" NOT NULL,
    policy_id         UUID,
    policy_name       TEXT,
    at                TIMESTAMPTZ    NOT NULL,
    run               TEXT           NOT NULL CHECK (run IN ('live', 'dry_run', 'shadow')),
    trigger           TEXT           NOT NULL CHECK (trigger IN ('auto', 'manual', 'schedule', 'proxy', 'admin')),
    action            scalingaction  NOT NULL,
    previous_replicas BIGINT         NOT NULL CHECK (previous_replicas >= 0),
    new_replicas      BIGINT         NOT NULL CHECK (new_replicas >= 0),
    reason            TEXT           NOT NULL,
    dry_run           BOOLEAN        NOT NULL,
    status            decisionstatus NOT NULL,
    error             TEXT,
    triggered_by      UUID,
    completed_at      TIMESTAMPTZ,
    decision          JSONB          NOT NULL,
    CHECK (status <> 'pending' OR completed_at IS NULL)
);
CREATE INDEX ix_scaling_decisions_target_at_id ON scaling_decisions (target, at, id);
CREATE INDEX ix_scaling_decisions_policy_id_at_id ON scaling_decisions (policy_id, at, id);
CREATE INDEX ix_scaling_decisions_at_id ON scaling_decisions (at, id);
CREATE INDEX ix_scaling_decisions_pending ON scaling_decisions (id) WHERE status = 'pending';
-- Holds are kept for a while, all others for ever: what is pruned must be found without going through what stays.
CREATE INDEX ix_scaling_decisions_held_at ON scaling_decisions (at) WHERE action = 'hold';

-- With room for the rows of scaling. Its parameters are other ones, so it is another function.
DROP FUNCTION commit_batch;

-- One call of this writes one batch: it is made outside of any other transaction, so that the check of the lease, the
-- rows and the commit are one round trip, and whoever stops in between holds no lock. Gives the batch's revision, or
-- nothing where the lease is worth nothing: somebody else leads, it was given back, or the revision is not the one that
-- the caller has seen, because what the caller believes lost was written after all.
--
-- The order is what foreign keys and unique names ask for: names of removed rows, and of policies that change theirs,
-- are freed first, changed rows come before new ones (a deployment's name is free once the old one is marked deleted),
-- parents before children, and removals last, so that their cascades find everything. A migration that adds a column
-- has to add it to the UPDATE here.
CREATE FUNCTION commit_batch(
    of_epoch BIGINT,
    of_holder TEXT,
    after_revision BIGINT,
    users_changed users[] DEFAULT NULL,
    users_added users[] DEFAULT NULL,
    users_removed UUID[] DEFAULT NULL,
    nodes_changed nodes[] DEFAULT NULL,
    nodes_added nodes[] DEFAULT NULL,
    nodes_removed UUID[] DEFAULT NULL,
    deployments_changed deployments[] DEFAULT NULL,
    deployments_added deployments[] DEFAULT NULL,
    deployments_removed UUID[] DEFAULT NULL,
    resources_changed deployment_resources[] DEFAULT NULL,
    resources_added deployment_resources[] DEFAULT NULL,
    revisions_added deployment_revisions[] DEFAULT NULL,
    pinned_deployments UUID[] DEFAULT NULL,
    pinned_revisions BIGINT[] DEFAULT NULL,
    pinned_digests TEXT[] DEFAULT NULL,
    replicas_changed deployment_replicas[] DEFAULT NULL,
    replicas_added deployment_replicas[] DEFAULT NULL,
    replicas_removed UUID[] DEFAULT NULL,
    policies_freed UUID[] DEFAULT NULL,
    policies_changed scaling_policies[] DEFAULT NULL,
    policies_added scaling_policies[] DEFAULT NULL,
    policies_removed UUID[] DEFAULT NULL,
    policy_versions_added scaling_policy_versions[] DEFAULT NULL,
    scaling_states_changed scaling_states[] DEFAULT NULL,
    scaling_states_added scaling_states[] DEFAULT NULL,
    scaling_states_removed TEXT[] DEFAULT NULL,
    decisions_changed scaling_decisions[] DEFAULT NULL,
    decisions_added scaling_decisions[] DEFAULT NULL,
    sessions_changed sessions[] DEFAULT NULL,
    sessions_added sessions[] DEFAULT NULL,
    sessions_removed UUID[] DEFAULT NULL,
    history_added deployment_status_history[] DEFAULT NULL,
    audit_added audit_logs[] DEFAULT NULL,
    keys_added idempotency_keys[] DEFAULT NULL
) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    new_revision BIGINT;
    touched BIGINT;
BEGIN
    UPDATE leader SET revision = revision + 1, renewed_at = clock_timestamp()
        WHERE epoch = of_epoch AND holder = of_holder AND revision = after_revision AND lease_ms > 0
        RETURNING revision INTO new_revision;
    IF new_revision IS NULL THEN
        RETURN NULL;
    END IF;

    IF cardinality(users_removed) > 0 AND cardinality(users_added) > 0 THEN
        UPDATE users SET username = id::TEXT WHERE id = ANY (users_removed);
    END IF;
    IF cardinality(nodes_removed) > 0 AND cardinality(nodes_added) > 0 THEN
        UPDATE nodes SET node_id = id::TEXT WHERE id = ANY (nodes_removed);
    END IF;
    IF cardinality(deployments_removed) > 0 AND cardinality(deployments_added) > 0 THEN
        UPDATE deployments SET status = 'deleted', deleted_at = updated_at WHERE id = ANY (deployments_removed);
    END IF;
    -- No policy can be called so.
    IF cardinality(policies_freed) > 0 THEN
        UPDATE scaling_policies SET name = '!' || id::TEXT WHERE id = ANY (policies_freed);
    END IF;

    IF cardinality(users_changed) > 0 THEN
        UPDATE users SET
            (username, password_hash, role, tier, disabled, created_at, updated_at) =
            (given.username, given.password_hash, given.role, given.tier, given.disabled, given.created_at,
             given.updated_at)
            FROM unnest(users_changed) AS given WHERE users.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('users', cardinality(users_changed), touched);
    END IF;
    IF cardinality(users_added) > 0 THEN
        INSERT INTO users SELECT * FROM unnest(users_added);
    END IF;
    IF cardinality(nodes_changed) > 0 THEN
        UPDATE nodes SET
            (node_id, region, zone, cpu_cores, memory_mb, gpu_units, storage_gb, runtimes, labels, liveness, cordoned,
             draining, created_at, updated_at) =
            (given.node_id, given.region, given.zone, given.cpu_cores, given.memory_mb, given.gpu_units,
             given.storage_gb, given.runtimes, given.labels, given.liveness, given.cordoned,
             given.draining, given.created_at, given.updated_at)
            FROM unnest(nodes_changed) AS given WHERE nodes.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('nodes', cardinality(nodes_changed), touched);
    END IF;
    IF cardinality(nodes_added) > 0 THEN
        INSERT INTO nodes SELECT * FROM unnest(nodes_added);
    END IF;
    IF cardinality(deployments_changed) > 0 THEN
        UPDATE deployments SET
            (name, user_id, container_image, runtime, status, target_replicas, revision, history_seq, spec, created_at,
             updated_at, deleted_at) =
            (given.name, given.user_id, given.container_image, given.runtime, given.status, given.target_replicas,
             given.revision, given.history_seq, given.spec, given.created_at, given.updated_at,
             given.deleted_at)
            FROM unnest(deployments_changed) AS given WHERE deployments.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('deployments', cardinality(deployments_changed), touched);
    END IF;
    IF cardinality(resources_changed) > 0 THEN
        UPDATE deployment_resources SET
            (cpu_cores, memory_mb, gpu_units, storage_gb) =
            (given.cpu_cores, given.memory_mb, given.gpu_units, given.storage_gb)
            FROM unnest(resources_changed) AS given WHERE deployment_resources.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('deployment_resources', cardinality(resources_changed), touched);
    END IF;
    IF cardinality(deployments_added) > 0 THEN
        INSERT INTO deployments SELECT * FROM unnest(deployments_added);
    END IF;
    IF cardinality(resources_added) > 0 THEN
        INSERT INTO deployment_resources SELECT * FROM unnest(resources_added);
    END IF;
    IF cardinality(revisions_added) > 0 THEN
        INSERT INTO deployment_revisions SELECT * FROM unnest(revisions_added);
    END IF;
    IF cardinality(pinned_deployments) > 0 THEN
        UPDATE deployment_revisions SET image_digest = given.digest
            FROM unnest(pinned_deployments, pinned_revisions, pinned_digests) AS given (deployment, number, digest)
            WHERE deployment_id = given.deployment AND revision = given.number;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('deployment_revisions', cardinality(pinned_deployments), touched);
    END IF;
    IF cardinality(replicas_changed) > 0 THEN
        UPDATE deployment_replicas SET
            (deployment_id, node_id, status, container_id, started_at, stopped_at, created_at, updated_at, revision,
             cpu_cores, memory_mb, gpu_units, storage_gb, host_port, endpoint, restarts, replaces,
             exit_code, reason) =
            (given.deployment_id, given.node_id, given.status, given.container_id, given.started_at, given.stopped_at,
             given.created_at, given.updated_at, given.revision, given.cpu_cores, given.memory_mb,
             given.gpu_units, given.storage_gb, given.host_port, given.endpoint, given.restarts,
             given.replaces, given.exit_code, given.reason)
            FROM unnest(replicas_changed) AS given WHERE deployment_replicas.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('deployment_replicas', cardinality(replicas_changed), touched);
    END IF;
    IF cardinality(replicas_added) > 0 THEN
        INSERT INTO deployment_replicas SELECT * FROM unnest(replicas_added);
    END IF;
    IF cardinality(policies_changed) > 0 THEN
        UPDATE scaling_policies SET
            (user_id, name, version, target_type, target_id, target, enabled, mode, spec, created_at, updated_at) =
            (given.user_id, given.name, given.version, given.target_type, given.target_id, given.target,
             given.enabled, given.mode, given.spec, given.created_at, given.updated_at)
            FROM unnest(policies_changed) AS given WHERE scaling_policies.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('scaling_policies', cardinality(policies_changed), touched);
    END IF;
    IF cardinality(policies_added) > 0 THEN
        INSERT INTO scaling_policies SELECT * FROM unnest(policies_added);
    END IF;
    IF cardinality(policy_versions_added) > 0 THEN
        INSERT INTO scaling_policy_versions SELECT * FROM unnest(policy_versions_added);
    END IF;
    IF cardinality(scaling_states_changed) > 0 THEN
        UPDATE scaling_states SET
            (version, replicas, memory, updated_at) =
            (given.version, given.replicas, given.memory, given.updated_at)
            FROM unnest(scaling_states_changed) AS given WHERE scaling_states.target = given.target;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('scaling_states', cardinality(scaling_states_changed), touched);
    END IF;
    IF cardinality(scaling_states_added) > 0 THEN
        INSERT INTO scaling_states SELECT * FROM unnest(scaling_states_added);
    END IF;
    IF cardinality(decisions_changed) > 0 THEN
        UPDATE scaling_decisions SET
            (target, policy_id, policy_name, at, run, trigger, action, previous_replicas, new_replicas, reason,
             dry_run, status, error, triggered_by, completed_at, decision) =
            (given.target, given.policy_id, given.policy_name, given.at, given.run, given.trigger, given.action,
             given.previous_replicas, given.new_replicas, given.reason, given.dry_run, given.status, given.error,
             given.triggered_by, given.completed_at, given.decision)
            FROM unnest(decisions_changed) AS given WHERE scaling_decisions.id = given.id;
        GET DIAGNOSTICS touched = ROW_COUNT;
        PERFORM check_touched('scaling_decisions', cardinality(decisions_changed), touched);
    END IF;
    IF cardinality(decisions_added) > 0 THEN
        INSERT INTO scaling_decisions SELECT * FROM unnest(decisions_added);
    END IF;
    -- Expired ones are pruned while the leader may still hold them: a change of one that is gone is no error.
    IF cardinality(sessions_changed) > 0 THEN
        UPDATE sessions SET
            (user_id, refresh_hash, created_at, expires_at, revoked_at) =
            (given.user_id, given.refresh_hash, given.created_at, given.expires_at, given.revoked_at)
            FROM unnest(sessions_changed) AS given WHERE sessions.id = given.id;
    END IF;
    IF cardinality(sessions_added) > 0 THEN
        INSERT INTO sessions SELECT * FROM unnest(sessions_added);
    END IF;
    IF cardinality(history_added) > 0 THEN
        INSERT INTO deployment_status_history SELECT * FROM unnest(history_added);
    END IF;
    IF cardinality(audit_added) > 0 THEN
        INSERT INTO audit_logs SELECT * FROM unnest(audit_added);
    END IF;
    IF cardinality(keys_added) > 0 THEN
        INSERT INTO idempotency_keys SELECT * FROM unnest(keys_added);
    END IF;

    IF cardinality(sessions_removed) > 0 THEN
        DELETE FROM sessions WHERE id = ANY (sessions_removed);
    END IF;
    IF cardinality(scaling_states_removed) > 0 THEN
        DELETE FROM scaling_states WHERE target = ANY (scaling_states_removed);
    END IF;
    IF cardinality(policies_removed) > 0 THEN
        DELETE FROM scaling_policies WHERE id = ANY (policies_removed);
    END IF;
    IF cardinality(replicas_removed) > 0 THEN
        DELETE FROM deployment_replicas WHERE id = ANY (replicas_removed);
    END IF;
    IF cardinality(deployments_removed) > 0 THEN
        DELETE FROM deployments WHERE id = ANY (deployments_removed);
    END IF;
    IF cardinality(nodes_removed) > 0 THEN
        DELETE FROM nodes WHERE id = ANY (nodes_removed);
    END IF;
    IF cardinality(users_removed) > 0 THEN
        DELETE FROM users WHERE id = ANY (users_removed);
    END IF;
    RETURN new_revision;
END $$;
