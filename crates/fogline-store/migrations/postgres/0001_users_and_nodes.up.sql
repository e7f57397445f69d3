-- People, their logins, the machines, and who did what.
-- Names sort by their bytes, whatever the cluster's language: lists are paged by them, and an index on them must not
-- depend on the system's tables of languages, which change between releases.
CREATE TABLE users (
    id            UUID        NOT NULL PRIMARY KEY,
    username      TEXT        COLLATE "C" NOT NULL,
    password_hash TEXT        NOT NULL,
    role          TEXT        NOT NULL CHECK (role IN ('admin', 'user', 'viewer')),
    tier          TEXT        NOT NULL CHECK (tier IN ('free', 'pro', 'enterprise')),
    disabled      BOOLEAN     NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX uq_users_username ON users (username);

CREATE TABLE sessions (
    id           UUID        NOT NULL PRIMARY KEY,
    user_id      UUID        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_hash BYTEA       NOT NULL CHECK (length(refresh_hash) = 32),
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    revoked_at   TIMESTAMPTZ
);
CREATE INDEX ix_sessions_user_id ON sessions (user_id);
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);

-- node_id is the name that people know a node by; other tables refer to id.
CREATE TABLE nodes (
    id         UUID        NOT NULL PRIMARY KEY,
    node_id    TEXT        COLLATE "C" NOT NULL,
    region     TEXT        NOT NULL,
    zone       TEXT        NOT NULL,
    cpu_cores  FLOAT       NOT NULL CHECK (cpu_cores >= 0),
    memory_mb  BIGINT      NOT NULL CHECK (memory_mb >= 0),
    gpu_units  BIGINT      NOT NULL CHECK (gpu_units >= 0),
    storage_gb BIGINT      NOT NULL CHECK (storage_gb >= 0),
    runtimes   TEXT        NOT NULL,
    labels     JSONB       NOT NULL,
    liveness   TEXT        NOT NULL CHECK (liveness IN ('online', 'offline')),
    cordoned   BOOLEAN     NOT NULL,
    draining   BOOLEAN     NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX uq_nodes_node_id ON nodes (node_id);

-- No foreign keys: the log outlives those it tells of.
CREATE TABLE audit_logs (
    id         UUID        NOT NULL PRIMARY KEY,
    at         TIMESTAMPTZ NOT NULL,
    actor      UUID,
    actor_name TEXT        NOT NULL,
    action     TEXT        NOT NULL,
    object     TEXT        NOT NULL,
    outcome    TEXT        NOT NULL,
    remote     TEXT,
    detail     TEXT        NOT NULL
);

-- For every table that is only ever added to.
CREATE FUNCTION refuse_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: a line is never %', TG_TABLE_NAME,
        CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'removed' END USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_logs_no_change BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
