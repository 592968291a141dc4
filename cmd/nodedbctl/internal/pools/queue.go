package pools

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// listQueue shows what waits for each pool.
func listQueue(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListPools(ctx, &adminpb.ListPoolsRequest{Queue: true, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	l := render.List[view.PoolWait]{Kind: "PoolQueue", Meta: e.Meta(r.GetAsOf()), Columns: queueColumns, Name: waitName, Empty: "nothing waits in any pool"}
	for _, p := range r.GetPools() {
		l.Items = append(l.Items, view.NewPoolWaits(p, r.GetAsOf().GetTime().AsTime())...)
		if more := int(p.GetQueueTotal()) - len(p.GetQueue()); more > 0 {
			e.Term.Say("pool %s: %d more are not shown: nodedbctl ops", p.GetName(), more)
		}
	}
	return l.Print(e.Term, e.Flags.Output)
}

// waitName is the operation, or the range that none works on.
func waitName(w view.PoolWait) string {
	switch {
	case w.Operation != nil:
		return *w.Operation
	case w.Range != nil:
		return render.Range(*w.Range)
	}
	return w.Pool
}

var queueColumns = []render.Column[view.PoolWait]{
	{Head: "POOL", Key: "pool", Cell: func(w view.PoolWait) string { return w.Pool }},
	{Head: "WHAT", Key: "what", Cell: func(w view.PoolWait) string { return w.What }},
	{Head: "OPERATION", Key: "operation", Cell: func(w view.PoolWait) string {
		if w.Operation == nil {
			return render.None
		}
		return *w.Operation
	}},
	{Head: "KIND", Key: "kind", Cell: func(w view.PoolWait) string { return render.Or(w.Kind) }},
	{Head: "RANGE", Key: "range", Cell: func(w view.PoolWait) string {
		if w.Range == nil {
			return render.None
		}
		return render.Range(*w.Range)
	}},
	{Head: "MOVE", Cell: func(w view.PoolWait) string { return move(w) }},
	{Head: "STATE", Key: "state", Cell: func(w view.PoolWait) string { return render.Or(w.State) }, Style: func(w view.PoolWait) term.Style {
		if w.State == "blocked" {
			return term.Warn
		}
		return ""
	}},
	{Head: "COUNT", Key: "count", Right: true, Cell: func(w view.PoolWait) string {
		if w.Count == 0 {
			return render.None
		}
		return fmt.Sprint(w.Count)
	}},
	{Head: "AGE", Key: "ageSeconds", Right: true, Cell: func(w view.PoolWait) string {
		if w.AgeSecs == nil {
			return render.None
		}
		return render.Seconds(*w.AgeSecs)
	}},
	{Head: "WHY", Key: "why", Cell: func(w view.PoolWait) string { return render.Or(w.Why) }},
}

// move says from where to where: "n1->n2", or a replica more, "+n2", or less, "-n1".
func move(w view.PoolWait) string {
	switch {
	case w.From != nil && w.To != nil:
		return render.Node(*w.From) + "->" + render.Node(*w.To)
	case w.To != nil:
		return "+" + render.Node(*w.To)
	case w.From != nil:
		return "-" + render.Node(*w.From)
	}
	return render.None
}
