package page

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/tui/internal/feed"
)

// nodeID finds the node that text names, as nodedbctl does. Before the nodes have
// come only numbers are understood: pages name nodes to each other so.
func nodeID(s *feed.Snapshot, text string) (uint32, error) {
	text = strings.TrimSpace(text)
	if s.Has(feed.Nodes) {
		n, err := client.FindNode(s.Nodes, text)
		return n.GetId(), err
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(text, "n"), 10, 32)
	if err != nil || v == 0 {
		return 0, fmt.Errorf("%q is no node: n4 is one", text)
	}
	return uint32(v), nil
}
