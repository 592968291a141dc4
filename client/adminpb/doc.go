// Package adminpb is the admin protocol: admin.proto and the code generated from it.
//
// The generated files are committed. After a change of admin.proto run
// "go generate ./client/adminpb" and commit what it writes. A test compares the
// protocol with testdata/v1.binpb and refuses a breaking change; after an
// addition, "go test ./client/adminpb -update" takes it into the golden file.
package adminpb

//go:generate go run ./internal/protogen admin.proto
