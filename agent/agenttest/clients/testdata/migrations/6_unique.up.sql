ALTER TABLE authors ADD CONSTRAINT authors_names UNIQUE (name, email);
