DROP FUNCTION commit_batch;
DROP FUNCTION check_touched;
DROP TABLE cluster_keys;
ALTER TABLE leader DROP COLUMN timeline;
ALTER TABLE leader DROP COLUMN lease_ms;
ALTER TABLE leader DROP COLUMN agent_address;
ALTER TABLE leader DROP COLUMN http_address;
