ALTER TABLE authors DROP CONSTRAINT authors_names;
