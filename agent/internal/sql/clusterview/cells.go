package clusterview

import (
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// nodeNames writes n1,n2,n3; a dash for none.
func NodeNames(nodes []cluster.NodeID) datum.Datum {
	if len(nodes) == 0 {
		return datum.MakeText("–")
	}
	nodes = slices.Sorted(slices.Values(nodes))
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.String()
	}
	return datum.MakeText(strings.Join(names, ","))
}

// NodeName is the name of a node that may be none.
func NodeName(n cluster.NodeID) datum.Datum {
	if n == 0 {
		return datum.MakeText("–")
	}
	return datum.MakeText(n.String())
}

// Moment is a time; the zero one is NULL.
func Moment(t time.Time) datum.Datum {
	if t.IsZero() {
		return datum.MakeNull(datum.Timestamptz)
	}
	return datum.FromTime(t)
}

// TextOrNull is a text; the empty one is NULL.
func TextOrNull(s string) datum.Datum {
	if s == "" {
		return datum.MakeNull(datum.Text)
	}
	return datum.MakeText(s)
}

func pair(item, value string) []datum.Datum {
	return []datum.Datum{datum.MakeText(item), datum.MakeText(value)}
}

func nodesOf[T any](m map[cluster.NodeID]T) []cluster.NodeID {
	out := make([]cluster.NodeID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
