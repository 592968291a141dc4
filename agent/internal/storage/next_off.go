//go:build !nextversion

package storage

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// formatAt returns Pebble's format major version at a version of the cluster. It is
// named, not "newest": a newer Pebble in go.mod changes nothing by itself.
func formatAt(gate.Version) pebble.FormatMajorVersion { return formatFirst }
