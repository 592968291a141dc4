//go:build nextversion

package storage

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// formatAt returns Pebble's format major version at a version of the cluster.
func formatAt(v gate.Version) pebble.FormatMajorVersion {
	if v >= gate.StoreValues {
		return pebble.FormatValueSeparation
	}
	return formatFirst
}
