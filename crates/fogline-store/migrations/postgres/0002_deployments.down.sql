DROP TABLE deployment_status_history;
DROP FUNCTION keep_history;
DROP TABLE deployment_replicas;
DROP TABLE deployment_revisions;
DROP TABLE deployment_resources;
DROP TABLE deployments;
DROP TYPE replicastatus;
DROP TYPE deploymentstatus;
