DROP INDEX authors_name;
