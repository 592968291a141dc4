ALTER TABLE books ADD COLUMN publisher_id integer REFERENCES publishers;
CREATE INDEX books_publisher ON books (publisher_id);
