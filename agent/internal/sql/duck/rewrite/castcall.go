package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// castCalls makes calls of the names of types, date(t), the conversions that they mean, unless
// somebody has made a function of the name. Columns keep the names that they have of the calls.
func (r *rewriter) castCalls(m protoreflect.Message) {
	if s, ok := m.Interface().(*pg.SelectStmt); ok {
		for _, n := range s.TargetList {
			if t := n.GetResTarget(); t.GetName() == "" && r.hasCastCall(t.GetVal()) {
				if name := FigureName(t.Val); name != "?column?" {
					t.Name = name
				}
			}
		}
	}
	children(m, r.castCalls)
	if n, ok := m.Interface().(*pg.Node); ok {
		if c := r.typeCall(n.GetFuncCall()); c != nil {
			n.Node = c.Node
		}
	}
}

func (r *rewriter) hasCastCall(n *pg.Node) (found bool) {
	visit(pg.MakeListNode([]*pg.Node{n}).ProtoReflect(), func(n *pg.Node) { found = found || r.typeCall(n.GetFuncCall()) != nil })
	return found
}

func (r *rewriter) typeCall(f *pg.FuncCall) *pg.Node {
	c := syntax.CastCall(f)
	if c == nil || !r.somebodys(f) {
		return c
	}
	made, err := r.in.Inline(f, func(*pg.Node) datum.Type { return datum.Unknown })
	if made != nil || err != nil {
		return nil
	}
	return c
}
