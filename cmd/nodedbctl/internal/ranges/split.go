package ranges

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ops"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// lastVShard is the last one with which a range can begin.
const lastVShard = 1023

func newSplit(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	var at string
	c := &cobra.Command{
		Use: "split RANGE [--at VSHARD|KEY]", Short: "Split a range in two", Args: cobra.ExactArgs(1),
		Long: "Split a range in two: the new range begins at VSHARD, or at the row KEY inside a vshard, written 0x... as\n" +
			"routing lookup prints it, or COLLECTION/VALUE, with a value for each column of the primary key and a slash\n" +
			"between them: a row whose values have slashes is written 0x... Without --at the boundary is where the load is\n" +
			"halved, else between vshards, else in the middle of the bytes. No row moves.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return split(cmd.Context(), e, args[0], at, change)
		},
	}
	change.Bind(c.Flags())
	c.Flags().StringVar(&at, "at", "", "where the new range begins: a vshard, 0x and a key, or COLLECTION/VALUE")
	return c
}

func split(ctx context.Context, e *ctl.Env, arg, at string, change ctl.Change) error {
	id, err := ctl.RangeID(arg)
	if err != nil {
		return err
	}
	spec := &adminpb.OperationSpec{Kind: "split", Range: id, Deadline: change.Deadline.Seconds()}
	command := "ranges split " + render.Range(id)
	if at != "" {
		command += " --at " + at
		if err := splitPoint(ctx, e, at, spec); err != nil {
			return err
		}
	}
	return ops.Start(ctx, e, ops.Request{Change: change, Command: command, Spec: spec})
}

// samePool refuses a row of another pool than the range's: each pool has all keys
// for itself, so the same key is inside a range of each.
func samePool(ctx context.Context, e *ctl.Env, at string, id uint32, route *adminpb.Route) error {
	if route.GetRange() == id {
		return nil
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListRanges(ctx, &adminpb.ListRangesRequest{Ids: []uint32{id}, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return err
	}
	own := r.GetRanges()[0]
	if own.GetMeta() || own.GetPool() == route.GetPool() {
		return nil // the cluster says whether the key is inside
	}
	wrong := ctl.Usagef("--at %s: the row is in %s of pool %s, and %s is of pool %s", at, render.Range(route.GetRange()), route.GetPool(), render.Range(id), own.GetPool())
	wrong.Next = []string{"nodedbctl ranges split " + render.Range(route.GetRange()) + " --at " + at}
	return wrong
}

// slashes says how a row is written whose values have slashes.
func slashes(at, collection string, err error) error {
	wrong := ctl.Usagef("--at %s: %v; a slash ends a value here: a row whose values have slashes is written 0x and the key that routing lookup prints", at, err)
	wrong.Next = []string{"nodedbctl routing lookup " + collection + " VALUE..."}
	return wrong
}

// splitPoint sets where the new range begins.
func splitPoint(ctx context.Context, e *ctl.Env, at string, spec *adminpb.OperationSpec) error {
	if digits, ok := strings.CutPrefix(at, "0x"); ok {
		if b, err := hex.DecodeString(digits); err != nil || len(b) == 0 {
			return ctl.Usagef("--at %s: these are no hex digits of whole bytes: copy the key from nodedbctl routing lookup COLLECTION KEY, or from startKey in nodedbctl ranges -o json", at)
		}
		spec.AtKey = strings.ToLower(digits)
		return nil
	}
	if collection, values, ok := strings.Cut(at, "/"); ok && collection != "" && values != "" {
		c, err := e.Client()
		if err != nil {
			return err
		}
		r, err := c.LookupRoute(ctx, &adminpb.LookupRouteRequest{Collection: collection, Key: strings.Split(values, "/")})
		if err != nil && strings.Contains(values, "/") && ctl.CodeOf(err) == ctl.Usage {
			return slashes(at, collection, err)
		}
		if err != nil {
			return err
		}
		spec.AtKey = r.GetRowKey()
		return samePool(ctx, e, at, spec.GetRange(), r.GetRoute())
	}
	n, err := strconv.ParseUint(at, 10, 32)
	if err != nil || n < 1 || n > lastVShard {
		return ctl.Usagef("--at is where the new range begins: a vshard from 1 to %d, 0x and the hex digits of a key, or COLLECTION/VALUE; not %q", lastVShard, at)
	}
	spec.At = uint32(n)
	return nil
}
