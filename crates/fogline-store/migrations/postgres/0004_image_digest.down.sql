ALTER TABLE deployment_revisions DROP COLUMN image_digest;
