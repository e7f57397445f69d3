-- Policies, what they remember and what was decided are gone with their tables: an older program has no room for them.
-- The function is that of the migration before.
DROP FUNCTION commit_batch;
DROP TABLE scaling_decisions;
DROP TABLE scaling_states;
DROP TABLE scaling_policy_versions;
DROP TABLE scaling_policies;
DROP TYPE decisionstatus;
DROP TYPE scalingaction;

-- One call of this writes one batch: it is made outside of any other transaction, so that the check of the lease, the
-- rows and the commit are one round trip, and whoever stops in between holds no lock. Gives the batch's revision, or
-- nothing where the lease is worth nothing: somebody else leads, it was given back, or the revision is not the one that
-- the caller has seen, because what the caller believes lost was written after all.
--
-- The order is what foreign keys and unique names ask for: names of removed rows are freed first, changed rows come
-- before new ones (a deployment's name is free once the old one is marked deleted), parents before children, and
-- removals last, so that their cascades find everything. A migration that adds a column
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
