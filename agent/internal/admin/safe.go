package admin

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// judgeNodes asks the planner whether nodes may stop, or leave for good, and
// which of them at most.
func judgeNodes(look *sight, question string, nodes []cluster.NodeID) (placement.Verdict, []cluster.NodeID, error) {
	switch question {
	case "stop":
		return placement.SafeToStop(look.Snapshot, nodes), placement.LargestSafe(look.Snapshot, nodes), nil
	case "remove":
		v := removable(look.Snapshot, nodes)
		var largest []cluster.NodeID
		for _, n := range nodes {
			some := append(largest[:len(largest):len(largest)], n)
			if r := removable(look.Snapshot, some); r.OK() {
				largest = some
			}
		}
		return v, largest, nil
	}
	return placement.Verdict{}, nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("unknown question %q: stop, remove or survive", question)}
}

func removable(s *placement.Snapshot, nodes []cluster.NodeID) placement.Verdict {
	_, v := placement.Make(s, placement.Intent{Goal: placement.GoalDecommission, Nodes: nodes})
	return v
}
