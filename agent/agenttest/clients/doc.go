// Package clients has the libraries that applications use make their first schema,
// migrate it and work with it, against a cluster of one node.
//
// testdata/NAME.sh installs one client into a temporary directory, as its users get it:
// from a package registry, which is why the test has the build tag long. It runs the
// client's steps, which say in lines of fields between tabs how they ended:
//
//	ok         STEP
//	fail       STEP  SQLSTATE  MESSAGE  STATEMENT
//	not tried  STEP  (one that it needs failed)
//	end
//
// A step that fails has to stand in the chapter "Clients" of docs/SQL.md with its
// SQLSTATE and the beginning of its statement, and one that stands there has to fail.
package clients
