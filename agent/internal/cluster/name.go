package cluster

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxNumber is the highest number that a name may ask for.
const MaxNumber NodeID = 1 << 16

// numberForm is what reads as a node's number, or as the attempt at one.
var numberForm = regexp.MustCompile(`^[nN]?[0-9]+$`)

// ParseNodeID reads the number of a node, as n4 or 4.
func ParseNodeID(text string) (NodeID, bool) {
	v, err := strconv.ParseUint(strings.TrimPrefix(text, "n"), 10, 32)
	return NodeID(v), err == nil && v > 0
}

// NumberOfName returns the number that a node must have to be called name, 0 if
// any may: n4 is a name of number 4 only, or it would name two nodes. Names that
// read as numbers otherwise, such as 4 and n04, are an error.
func NumberOfName(name string) (NodeID, error) {
	if !numberForm.MatchString(name) {
		return 0, nil
	}
	id, ok := ParseNodeID(name)
	switch {
	case !ok || id.String() != name:
		return 0, fmt.Errorf("the name %q reads as a node's number: write it as n4, or use a name that is no number", name)
	case id > MaxNumber:
		return 0, fmt.Errorf("the name %q asks for a number above %d", name, MaxNumber)
	}
	return id, nil
}

// ErrNoNode says that a text names no node.
var ErrNoNode = errors.New("there is no such node")

// AmbiguousNodeError says that a text names several nodes.
type AmbiguousNodeError struct {
	Text  string
	Nodes []NodeID
}

func (e *AmbiguousNodeError) Error() string {
	names := make([]string, len(e.Nodes))
	for i, id := range e.Nodes {
		names[i] = id.String()
	}
	return fmt.Sprintf("%q is ambiguous: %s", e.Text, strings.Join(names, ", "))
}

// uuidPrefixLeast is how much of a UUID must be given.
const uuidPrefixLeast = 4

// FindNode finds the one node that text names: by its number (n4 or 4), its name,
// an address or the beginning of its UUID; the first that fits is meant. A name
// or address that was used again after a decommission is the member's. Package
// client has the same rule for what talks to the admin API.
func FindNode(nodes map[NodeID]*Node, text string) (*Node, error) {
	if id, ok := ParseNodeID(text); ok && nodes[id] != nil {
		return nodes[id], nil
	}
	for _, match := range []func(*Node) bool{
		func(n *Node) bool { return n.Name == text },
		func(n *Node) bool { return n.Addresses.has(text) },
		func(n *Node) bool {
			return len(text) >= uuidPrefixLeast && strings.HasPrefix(strings.ToLower(n.UUID), strings.ToLower(text))
		},
	} {
		var found, members []*Node
		for _, id := range slices.Sorted(maps.Keys(nodes)) {
			n := nodes[id]
			if !match(n) {
				continue
			}
			found = append(found, n)
			if n.Membership != Decommissioned {
				members = append(members, n)
			}
		}
		if len(found) > 1 && len(members) > 0 {
			found = members
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		e := &AmbiguousNodeError{Text: text}
		for _, n := range found {
			e.Nodes = append(e.Nodes, n.ID)
		}
		return nil, e
	}
	return nil, fmt.Errorf("%q: %w", text, ErrNoNode)
}

// has reports whether text is one of the addresses, or the host of one.
func (a *Addresses) has(text string) bool {
	for _, addr := range []string{a.Admin, a.SQL, a.RPC, a.Gossip} {
		host := strings.Trim(addr[:max(0, strings.LastIndexByte(addr, ':'))], "[]")
		if text != "" && (addr == text || host == text) {
			return true
		}
	}
	return false
}
