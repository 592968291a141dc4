// Package adminpb is the admin protocol: admin.proto and the code generated from it.
//
// The generated files are committed. After a change of admin.proto run
// "go generate ./client/adminpb" and commit what it writes; image.binpb is the
// golden descriptor by which a test refuses a breaking change.
package adminpb

//go:generate go run ./internal/protogen admin.proto
