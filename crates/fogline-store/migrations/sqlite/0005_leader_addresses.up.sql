-- Where the leader is reached, and for how long it leads without a commit: 0 where the lock of the directory is the right.
ALTER TABLE leader ADD COLUMN http_address TEXT NOT NULL DEFAULT '';
ALTER TABLE leader ADD COLUMN agent_address TEXT NOT NULL DEFAULT '';
ALTER TABLE leader ADD COLUMN lease_ms BIGINT NOT NULL DEFAULT 0 CHECK (lease_ms >= 0);

-- All servers of a cluster have the same keys. The first one says which: one row, there before anybody leads.
CREATE TABLE cluster_keys (
    singleton   INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    fingerprint TEXT    NOT NULL
);
