package ctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// ResolveNodes turns arguments into nodes, each once, in the order given. An
// argument is n4, 4, a name, an address or the beginning of a UUID.
func (e *Env) ResolveNodes(ctx context.Context, args []string) ([]*adminpb.Node, error) {
	c, err := e.Client()
	if err != nil {
		return nil, err
	}
	r, err := c.ListNodes(ctx, &adminpb.ListNodesRequest{All: true, NodeTimeout: e.NodeTimeout()})
	if err != nil {
		return nil, err
	}
	var out []*adminpb.Node
	for _, arg := range args {
		n, err := FindNode(r.GetNodes(), arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// FindNode is client.FindNode, with exit codes.
func FindNode(nodes []*adminpb.Node, arg string) (*adminpb.Node, error) {
	n, err := client.FindNode(nodes, arg)
	var ambiguous *client.AmbiguousNodeError
	switch {
	case errors.As(err, &ambiguous):
		return nil, Usagef("%v", ambiguous)
	case err != nil:
		return nil, &Error{Code: NotFound, Message: fmt.Sprintf("there is no node %q", arg), Next: []string{"nodedbctl nodes --all"}}
	}
	return n, nil
}

// NodeIDs are the ids of nodes.
func NodeIDs(nodes []*adminpb.Node) []uint32 {
	ids := make([]uint32, len(nodes))
	for i, n := range nodes {
		ids[i] = n.GetId()
	}
	return ids
}

// RangeID reads r27 or 27.
func RangeID(arg string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(arg, "r"), 10, 32)
	if err != nil || n == 0 {
		return 0, Usagef("%q is no range: write r27 or 27", arg)
	}
	return uint32(n), nil
}
