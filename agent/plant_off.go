//go:build !planted

package agent

import (
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

type plantedFaults struct {
	replica.Planted
	Txn  txn.Planted
	Data datastate.Planted
	SQL  sql.Planted
}

func (plantedFaults) staleRules() bool { return false }

// planted is nothing: only builds with the tag planted have faults to plant.
func planted() plantedFaults { return plantedFaults{} }
