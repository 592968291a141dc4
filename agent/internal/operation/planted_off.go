//go:build !planted

package operation

import "github.com/nodedb/nodedb/agent/internal/placement"

// Planted are faults that the tag "planted" lets tests plant, to prove that they
// are found. Here it is empty: none can be planted.
type Planted struct{}

func (Planted) deaf(string) bool { return false }

func (Planted) seedsAgain() bool { return false }

func (Planted) forgetsEarly() bool { return false }

func (Planted) plan() placement.Planted { return placement.Planted{} }
