CREATE TYPE mood AS ENUM ('glad', 'sad');

CREATE TABLE authors (
    id bigserial PRIMARY KEY,
    name varchar(50) NOT NULL,
    email text UNIQUE,
    mood mood NOT NULL DEFAULT 'glad',
    meta jsonb NOT NULL DEFAULT '{}',
    made timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX authors_made ON authors (made DESC);

CREATE TABLE books (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author_id bigint NOT NULL REFERENCES authors ON DELETE CASCADE,
    title text NOT NULL,
    price numeric(10, 2) DEFAULT 0 CHECK (price >= 0),
    UNIQUE (author_id, title)
);

COMMENT ON TABLE books IS 'what authors write';

INSERT INTO authors (name, email) VALUES ('Ada', 'ada@example.test');
INSERT INTO books (author_id, title) SELECT id, 'First' FROM authors;
