ALTER TABLE authors ADD COLUMN age integer;
ALTER TABLE authors ADD COLUMN active boolean NOT NULL DEFAULT true;
ALTER TABLE authors RENAME COLUMN age TO years;
ALTER TABLE authors ALTER COLUMN name TYPE varchar(80);
ALTER TYPE mood ADD VALUE 'calm';
