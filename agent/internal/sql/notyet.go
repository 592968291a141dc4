package sql

import (
	"reflect"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// later is a statement that is read and not carried out yet.
type later struct {
	node       syntax.Node
	what, hint string
}

// notYet are all statements of package syntax for which execute has no case. Who writes
// the case takes the line away: a test says that there is one of the two for each.
var notYet = func() map[reflect.Type]later {
	out := map[reflect.Type]later{}
	for _, l := range []later{
		{&syntax.AlterDatabase{}, "ALTER DATABASE", ""},
	} {
		out[reflect.TypeOf(l.node)] = l
	}
	return out
}()

// carriedOut refuses statements, and parts of them, that are read and not carried out.
func carriedOut(node syntax.Node) error {
	switch node := node.(type) {
	case *syntax.CreateCollection:
		if err := createdParts(node); err != nil {
			return err
		}
		return nil
	case *syntax.CreateSchema:
		for _, e := range node.Elements {
			if err := carriedOut(e); err != nil {
				return err
			}
		}
		return nil
	}
	l, ok := notYet[reflect.TypeOf(node)]
	if !ok {
		return nil
	}
	return syntax.Unsupported(l.what, l.hint)
}

// createdParts refuses what a new collection cannot have yet.
func createdParts(c *syntax.CreateCollection) *syntax.Error {
	for i := range c.Constraints {
		switch k := &c.Constraints[i]; {
		case k.Kind == syntax.Check:
		case k.Kind == syntax.Unique, k.Kind == syntax.ForeignKey:
		case k.Kind != syntax.PrimaryKey:
			return unsupportedAt("a "+string(k.Kind)+" constraint", "", k.Position)
		}
	}
	return nil
}

func unsupportedAt(what, hint string, position int) *syntax.Error {
	err := syntax.Unsupported(what, hint)
	err.Position = position
	return err
}
