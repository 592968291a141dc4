package client

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
)

// ErrNoNode says that a text names no node.
var ErrNoNode = errors.New("there is no such node")

// AmbiguousNodeError says that a text names several nodes.
type AmbiguousNodeError struct {
	Text  string
	Nodes []*adminpb.Node
}

func (e *AmbiguousNodeError) Error() string {
	parts := make([]string, len(e.Nodes))
	for i, n := range e.Nodes {
		parts[i] = fmt.Sprintf("n%d (%s, %s)", n.GetId(), n.GetAddresses().GetAdmin(), n.GetUuid())
	}
	return fmt.Sprintf("%q is ambiguous: %s", e.Text, strings.Join(parts, "; "))
}

// uuidPrefixLeast is how much of a UUID must be given.
const uuidPrefixLeast = 4

// FindNode finds the one node that text names: by its number (n4 or 4), its name,
// an address or the beginning of its UUID; the first that fits is meant. A name
// or address that was used again after a decommission is the member's. nodes is
// what ListNodes returns with All set. The error is an *AmbiguousNodeError or
// wraps ErrNoNode. The node itself has the same rule for SQL (cluster.FindNode).
func FindNode(nodes []*adminpb.Node, text string) (*adminpb.Node, error) {
	number, err := strconv.ParseUint(strings.TrimPrefix(text, "n"), 10, 32)
	isNumber := err == nil
	for _, match := range []func(*adminpb.Node) bool{
		func(n *adminpb.Node) bool { return isNumber && n.GetId() == uint32(number) },
		func(n *adminpb.Node) bool { return text != "" && n.GetName() == text },
		func(n *adminpb.Node) bool { return hasAddress(n.GetAddresses(), text) },
		func(n *adminpb.Node) bool {
			return len(text) >= uuidPrefixLeast && strings.HasPrefix(strings.ToLower(n.GetUuid()), strings.ToLower(text))
		},
	} {
		found := slices.DeleteFunc(slices.Clone(nodes), func(n *adminpb.Node) bool { return !match(n) })
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
			return nil, &AmbiguousNodeError{Text: text, Nodes: found}
		}
	}
	return nil, fmt.Errorf("%q: %w", text, ErrNoNode)
}

// hasAddress reports whether text is one of the addresses, or the host of one.
func hasAddress(a *adminpb.Addresses, text string) bool {
	for _, addr := range []string{a.GetAdmin(), a.GetSql(), a.GetRpc(), a.GetGossip()} {
		host, _, err := net.SplitHostPort(addr)
		if text != "" && (addr == text || err == nil && host == text) {
			return true
		}
	}
	return false
}
