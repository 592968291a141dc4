//go:build !planted

package agent

import "github.com/nodedb/nodedb/agent/internal/replica"

// planted is nothing: only builds with the tag planted have faults to plant.
func planted() replica.Planted { return replica.Planted{} }
