ALTER TABLE books DROP COLUMN publisher_id;
