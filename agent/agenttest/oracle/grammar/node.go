package grammar

import (
	"slices"
	"strings"
)

// Node is a part of a statement: a template whose gaps are its children, or a list of them.
type Node struct {
	// Class says what may stand here: a type of expressions, or "query"; "": nothing else.
	Class string
	// Text is what stands around the children: one more than there are; of a list, its
	// beginning, separator and end.
	Text []string
	List bool
	// Least is how many children a list must keep. One without any writes nothing.
	Least int
	Kids  []*Node
	// Simple may stand here as well.
	Simple []string
}

// text is a node without children.
func text(class, s string) *Node { return &Node{Class: class, Text: []string{s}} }

// seq is what follows each other.
func seq(class string, kids ...*Node) *Node {
	return &Node{Class: class, Text: make([]string, len(kids)+1), Kids: kids}
}

// list is a list that keeps least of its children.
func list(begin, separator, end string, least int, kids ...*Node) *Node {
	return &Node{Text: []string{begin, separator, end}, List: true, Least: least, Kids: kids}
}

// optional is what may be there.
func optional(begin string, kids ...*Node) *Node { return list(begin, "", "", 0, kids...) }

func (n *Node) String() string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *Node) write(b *strings.Builder) {
	if n.List && len(n.Kids) == 0 {
		return
	}
	for i, k := range n.Kids {
		switch {
		case !n.List:
			b.WriteString(n.Text[i])
		case i == 0:
			b.WriteString(n.Text[0])
		default:
			b.WriteString(n.Text[1])
		}
		k.write(b)
	}
	b.WriteString(n.Text[len(n.Text)-1])
}

// walk visits a node and all below it, until visit says that it is enough.
func (n *Node) walk(visit func(at *Node) bool) bool {
	if !visit(n) {
		return false
	}
	for _, k := range n.Kids {
		if !k.walk(visit) {
			return false
		}
	}
	return true
}

// Reduce makes a statement smaller for as long as still says that it shows the same, with at
// most so many tries.
func Reduce(root *Node, tries int, still func(statement string) bool) *Node {
	try := func() bool {
		if tries <= 0 {
			return false
		}
		tries--
		return still(root.String())
	}
	for again := true; again && tries > 0; {
		again = reduceOnce(root, try)
	}
	return root
}

// reduceOnce tries all simplifications of all nodes, the greatest first.
func reduceOnce(root *Node, try func() bool) (some bool) {
	var nodes []*Node
	root.walk(func(n *Node) bool { nodes = append(nodes, n); return true })
	for _, n := range nodes {
		some = n.shrink(try) || some
	}
	return some
}

// shrink tries what is less than a node: fewer items of a list, something below it of the
// same class, something simple.
func (n *Node) shrink(try func() bool) (some bool) {
	was := *n
	if n.List {
		for i := len(n.Kids) - 1; i >= 0 && len(n.Kids) > n.Least; i-- {
			before := n.Kids
			n.Kids = slices.Delete(slices.Clone(before), i, i+1)
			if try() {
				some = true
			} else {
				n.Kids = before
			}
		}
		return some
	}
	if n.Class == "" || len(n.Kids) == 0 && len(n.Simple) == 0 {
		return false
	}
	for _, s := range n.Simple {
		if len(n.Kids) == 0 && n.Text[0] == s {
			break
		}
		*n = Node{Class: was.Class, Text: []string{s}}
		if try() {
			return true
		}
		*n = was
	}
	var below []*Node
	for _, k := range n.Kids {
		k.walk(func(at *Node) bool {
			if at.Class == was.Class {
				below = append(below, at)
			}
			return true
		})
	}
	for _, b := range below {
		*n = *b
		if try() {
			return true
		}
		*n = was
	}
	return false
}

// Expressions visits the expressions of a statement until one is found, the greatest first.
// With gives the statement with another text in place of one.
func Expressions(root *Node, found func(at *Node, with func(text string) string) bool) bool {
	return !root.walk(func(n *Node) bool {
		if n.Class == "" || n.Class == "query" || len(n.Simple) == 0 {
			return true
		}
		was := *n
		return !found(&was, func(text string) string {
			*n = Node{Text: []string{text}}
			defer func() { *n = was }()
			return root.String()
		})
	})
}
