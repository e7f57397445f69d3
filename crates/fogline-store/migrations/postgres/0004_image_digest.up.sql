-- What a revision's image was when it was first pulled, sha256:…; nothing until then.
ALTER TABLE deployment_revisions ADD COLUMN image_digest TEXT;
