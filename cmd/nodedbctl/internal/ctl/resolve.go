package ctl

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// uuidPrefixLeast is how much of a UUID must be typed.
const uuidPrefixLeast = 4

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

// FindNode finds the one node that arg names. What names two, one by its name and
// one by its id, names none: a mistake here may end a node.
func FindNode(nodes []*adminpb.Node, arg string) (*adminpb.Node, error) {
	for _, match := range []func(*adminpb.Node) bool{
		func(n *adminpb.Node) bool {
			return n.GetName() == arg || isNodeID(arg, n.GetId()) || hasAddress(n, arg)
		},
		func(n *adminpb.Node) bool {
			return len(arg) >= uuidPrefixLeast && strings.HasPrefix(strings.ToLower(n.GetUuid()), strings.ToLower(arg))
		},
	} {
		var found []*adminpb.Node
		for _, n := range nodes {
			if match(n) {
				found = append(found, n)
			}
		}
		// A name or address may have been reused after a decommission: the member is
		// meant.
		if len(found) > 1 {
			members := slices.DeleteFunc(slices.Clone(found), func(n *adminpb.Node) bool { return n.GetMembership() == "decommissioned" })
			if len(members) > 0 {
				found = members
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return nil, Usagef("%q is ambiguous: %s", arg, candidates(found))
		}
	}
	return nil, &Error{Code: NotFound, Message: fmt.Sprintf("there is no node %q", arg), Next: []string{"nodedbctl nodes --all"}}
}

func isNodeID(arg string, id uint32) bool {
	if arg == "" {
		return false
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(arg, "n"), 10, 32)
	return err == nil && uint32(n) == id
}

func hasAddress(n *adminpb.Node, arg string) bool {
	a := n.GetAddresses()
	if arg == "" {
		return false
	}
	for _, addr := range []string{a.GetAdmin(), a.GetSql(), a.GetRpc(), a.GetGossip()} {
		if addr != "" && (addr == arg || strings.HasPrefix(addr, arg+":")) {
			return true
		}
	}
	return false
}

func candidates(nodes []*adminpb.Node) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = fmt.Sprintf("%s (%s, %s)", render.Node(n.GetId()), n.GetAddresses().GetAdmin(), n.GetUuid())
	}
	return strings.Join(parts, "; ")
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
