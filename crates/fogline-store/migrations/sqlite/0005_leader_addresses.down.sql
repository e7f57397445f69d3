DROP TABLE cluster_keys;
ALTER TABLE leader DROP COLUMN lease_ms;
ALTER TABLE leader DROP COLUMN agent_address;
ALTER TABLE leader DROP COLUMN http_address;
