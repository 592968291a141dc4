// Package oracle holds NodeDB's answers against PostgreSQL 15's: the same, or a refusal
// (SQLSTATE 0A000), and never a different one.
//
// testdata/corpus/TOPIC.txt has statements, one to a line, each with what PostgreSQL
// answered, indented by four spaces:
//
//	select 1 as a, null::text as b
//	    (a int4, b text)
//	    1|NULL
//	    SELECT 1
//	select 1/0
//	    ERROR 22012 division by zero
//
// Names and types of columns, rows, tags and SQLSTATEs are compared, messages are not.
// Rows are in any order unless the statement has an ORDER BY of its own. A last line
// "! 0A000" says that NodeDB refuses the statement, "! differs" that it answers something
// else, which is a bug that is known: who mends it takes the line away, and the test says
// so. Lines that begin with # are comments.
//
// A topic begins in an empty database. It is run three times: by the simple protocol, by
// the extended one, and with all that the engine can run being run by it
// (nodedb.fast_path = off).
//
// testdata/described/TOPIC.txt has statements with what PostgreSQL says of them before they run:
// the types of parameters, the columns with their types and modifiers. Both are compared.
//
// ORACLE_PG names a PostgreSQL 15 (postgres.sh starts one); then
//
//	go test ./agent/agenttest/oracle -args -update     has it answer anew
//	go test ./agent/agenttest/oracle -args -mark       writes the last lines anew
//
// New statements are written without answers and get them by the first.
package oracle
