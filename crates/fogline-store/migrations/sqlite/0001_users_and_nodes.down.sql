DROP TABLE audit_logs;
DROP TABLE nodes;
DROP TABLE sessions;
DROP TABLE users;
