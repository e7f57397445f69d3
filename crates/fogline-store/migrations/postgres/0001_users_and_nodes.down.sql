DROP TABLE audit_logs;
DROP FUNCTION refuse_change;
DROP TABLE nodes;
DROP TABLE sessions;
DROP TABLE users;
