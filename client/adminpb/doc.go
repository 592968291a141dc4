// Package adminpb is the admin protocol: the .proto files and the code generated from them.
//
// The generated files are committed. After a change of a .proto file run
// "go generate ./client/adminpb" and commit what it writes. A test compares the
// protocol with testdata/v1.binpb and refuses a breaking change; after an
// addition, "go test ./client/adminpb -update" takes it into the golden file.
package adminpb

//go:generate go run ./internal/protogen access.proto admin.proto base.proto debug.proto events.proto hostrules.proto nodes.proto operations.proto pools.proto ranges.proto rebalance.proto schedules.proto sessions.proto watch.proto
//go:generate go run ./internal/apidoc ../../docs/API.md access.proto admin.proto base.proto debug.proto events.proto hostrules.proto nodes.proto operations.proto pools.proto ranges.proto rebalance.proto schedules.proto sessions.proto watch.proto
