// Command nodedbctl is the command: it operates NodeDB clusters.
package main

import (
	"os"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/root"
)

// version is set by the linker.
var version = "unknown"

//go:generate sh -c "go run . reference > ../../docs/CLI.md"
//go:generate go run . schema ../../docs/schema

func main() { os.Exit(root.Main(version, os.Args[1:])) }
