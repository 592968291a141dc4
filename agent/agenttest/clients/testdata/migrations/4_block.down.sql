BEGIN;
DROP VIEW cities;
DROP TABLE publishers;
COMMIT;
