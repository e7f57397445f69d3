-- What scales by itself, what its arbiter remembers, and what it has decided.
-- spec is the whole of what was asked for; target is what target_type and target_id were found to be, as a key.
CREATE TABLE scaling_policies (
    id          TEXT    NOT NULL PRIMARY KEY,
    user_id     TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name        TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    version     INTEGER NOT NULL CHECK (version >= 1),
    target_type TEXT    NOT NULL,
    target_id   TEXT,
    target      TEXT    NOT NULL,
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    mode        TEXT    NOT NULL CHECK (mode IN ('active', 'shadow')),
    spec        TEXT    NOT NULL CHECK (json_valid(spec)),
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL
);
CREATE UNIQUE INDEX uq_scaling_policies_user_id_name ON scaling_policies (user_id, name);
CREATE INDEX ix_scaling_policies_target ON scaling_policies (target);

CREATE TABLE scaling_policy_versions (
    policy_id  TEXT    NOT NULL REFERENCES scaling_policies (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    version    INTEGER NOT NULL CHECK (version >= 1),
    spec       TEXT    NOT NULL CHECK (json_valid(spec)),
    created_at BIGINT  NOT NULL,
    created_by TEXT    REFERENCES users (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (policy_id, version)
);
CREATE INDEX ix_scaling_policy_versions_created_by ON scaling_policy_versions (created_by);

-- No foreign key: most targets have no row of their own, and a state outlives the last policy by its cooldowns.
CREATE TABLE scaling_states (
    target     TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL CHECK (version >= 1),
    replicas   INTEGER CHECK (replicas >= 0),
    memory     TEXT    NOT NULL CHECK (json_valid(memory)),
    updated_at BIGINT  NOT NULL
);

-- No foreign keys: a decision outlives the policies, the target and the people that it tells of. decision is the whole
-- record; the columns beside it are those that lists look at.
CREATE TABLE scaling_decisions (
    id                TEXT    NOT NULL PRIMARY KEY,
    target            TEXT    NOT NULL,
    policy_id         TEXT,
    policy_name       TEXT,
    at                BIGINT  NOT NULL,
    run               TEXT    NOT NULL CHECK (run IN ('live', 'dry_run', 'shadow')),
    trigger           TEXT    NOT NULL CHECK (trigger IN ('auto', 'manual', 'schedule', 'proxy', 'admin')),
    action            TEXT    NOT NULL CHECK (action IN ('scale_up', 'scale_down', 'hold')),
    previous_replicas INTEGER NOT NULL CHECK (previous_replicas >= 0),
    new_replicas      INTEGER NOT NULL CHECK (new_replicas >= 0),
    reason            TEXT    NOT NULL,
    dry_run           INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    status            TEXT    NOT NULL CHECK (status IN ('pending', 'completed', 'failed')),
    error             TEXT,
    triggered_by      TEXT,
    completed_at      BIGINT,
    decision          TEXT    NOT NULL CHECK (json_valid(decision)),
    CHECK (status <> 'pending' OR completed_at IS NULL)
);
CREATE INDEX ix_scaling_decisions_target_at_id ON scaling_decisions (target, at, id);
CREATE INDEX ix_scaling_decisions_policy_id_at_id ON scaling_decisions (policy_id, at, id);
CREATE INDEX ix_scaling_decisions_at_id ON scaling_decisions (at, id);
CREATE INDEX ix_scaling_decisions_pending ON scaling_decisions (id) WHERE status = 'pending';
-- Holds are kept for a while, all others for ever: what is pruned must be found without going through what stays.
CREATE INDEX ix_scaling_decisions_held_at ON scaling_decisions (at) WHERE action = 'hold';
