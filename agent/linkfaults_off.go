//go:build !invariants

package agent

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// linkFaults is nil: only builds for tests have links that can be cut.
func linkFaults(string) func(cluster.NodeID) transport.Fault { return nil }
