CREATE INDEX CONCURRENTLY authors_name ON authors (lower(name));
