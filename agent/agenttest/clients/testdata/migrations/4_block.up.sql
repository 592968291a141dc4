BEGIN;
CREATE TABLE publishers (id serial PRIMARY KEY, name text NOT NULL);
CREATE UNIQUE INDEX publishers_name ON publishers (lower(name));
ALTER TABLE publishers ADD COLUMN city text;
CREATE VIEW cities AS SELECT DISTINCT city FROM publishers;
COMMIT;
