package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxDepth bounds how deep nodes nest. PostgreSQL's deparser overflows its stack
// near 4,900 and DuckDB refuses 1,000.
const maxDepth = 900

func checkDepth(s *pg.SelectStmt) error { return deepAt(s.ProtoReflect()) }

func deepAt(m protoreflect.Message) error {
	if depth(m) > maxDepth {
		return &Error{Code: "54001", Message: "statement is too complex", Hint: "Expressions may nest 900 deep."}
	}
	return nil
}

// depth counts the nodes on the longest way down, and stops counting over maxDepth.
func depth(m protoreflect.Message) int { return descend(m, 0) }

func descend(m protoreflect.Message, above int) int {
	if above > maxDepth {
		return above
	}
	deepest := above
	children(m, func(c protoreflect.Message) {
		below := above
		if _, ok := c.Interface().(*pg.Node); ok {
			below++
		}
		deepest = max(deepest, descend(c, below))
	})
	return deepest
}

// children calls fn with each message directly below m.
func children(m protoreflect.Message, fn func(protoreflect.Message)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Kind() != protoreflect.MessageKind {
			return true
		}
		if !fd.IsList() {
			fn(v.Message())
			return true
		}
		for i := range v.List().Len() {
			fn(v.List().Get(i).Message())
		}
		return true
	})
}

// visit calls fn with each node below m.
func visit(m protoreflect.Message, fn func(*pg.Node)) {
	children(m, func(c protoreflect.Message) {
		if n, ok := c.Interface().(*pg.Node); ok {
			fn(n)
		}
		visit(c, fn)
	})
}

// node rewrites an expression, children first.
func (r *rewriter) node(n *pg.Node) (*pg.Node, error) {
	if n == nil || n.Node == nil || r.made[n] {
		return n, nil
	}
	if s := n.GetSelectStmt(); s != nil {
		cols, err := r.query(s, r.scope)
		r.linkMembers(s, cols)
		return n, err
	}
	if rel := r.scalarNamed(n.GetColumnRef()); rel != nil {
		n = pg.MakeColumnRefNode([]*pg.Node{str(rel.name), str(rel.columns[0].name)}, n.GetColumnRef().Location)
	}
	if err := r.inline(n); err != nil {
		return nil, err
	}
	if form := r.keyed[n]; form != nil {
		delete(r.keyed, n)
		out, err := r.node(n)
		if err != nil {
			return nil, err
		}
		return form(out), nil
	}
	r.infer(n)
	if err := r.listsKeepDigits(n); err != nil {
		return nil, err
	}
	if constant, _ := r.manyDigits(n); constant != nil {
		return constant, nil
	}
	after, err := r.before(n)
	if err != nil {
		return nil, err
	}
	constant, castText := r.manyDigits(n)
	if constant != nil {
		return constant, nil
	}
	done, err := r.writtenSubquery(n)
	if err == nil && !done {
		err = r.below(n.ProtoReflect())
	}
	if err != nil {
		return nil, err
	}
	decimal := r.standsForDecimal(n)
	if after != nil {
		out, err := after(n)
		if castText && err == nil {
			out = cast(out, "VARCHAR")
		}
		return out, err
	}
	out, err := r.rule(n)
	if decimal && err == nil {
		out = r.asDecimal(out)
	}
	return out, err
}

// below rewrites the nodes under m.
func (r *rewriter) below(m protoreflect.Message) error {
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Kind() != protoreflect.MessageKind {
			return true
		}
		if !fd.IsList() {
			var c protoreflect.Message
			if c, failed = r.message(v.Message()); failed == nil && c != v.Message() {
				m.Set(fd, protoreflect.ValueOfMessage(c))
			}
			return failed == nil
		}
		for i := 0; i < v.List().Len() && failed == nil; i++ {
			var c protoreflect.Message
			if c, failed = r.message(v.List().Get(i).Message()); failed == nil {
				v.List().Set(i, protoreflect.ValueOfMessage(c))
			}
		}
		return failed == nil
	})
	return failed
}

func (r *rewriter) message(m protoreflect.Message) (protoreflect.Message, error) {
	switch x := m.Interface().(type) {
	case *pg.Node:
		n, err := r.node(x)
		if err != nil {
			return nil, err
		}
		return n.ProtoReflect(), nil
	case *pg.SelectStmt:
		cols, err := r.query(x, r.scope)
		r.linkMembers(x, cols)
		return m, err
	}
	return m, r.below(m)
}

func (r *rewriter) list(l []*pg.Node) error {
	for i, n := range l {
		var err error
		if l[i], err = r.node(n); err != nil {
			return err
		}
	}
	return nil
}

// Short forms of what is made often.

func str(s string) *pg.Node { return pg.MakeStrNode(s) }

func text(s string) *pg.Node { return pg.MakeAConstStrNode(s, -1) }

func integer(v int64) *pg.Node { return pg.MakeAConstIntNode(v, -1) }

func call(name string, args ...*pg.Node) *pg.Node {
	return pg.MakeFuncCallNode([]*pg.Node{str(name)}, args, -1)
}

func not(n *pg.Node) *pg.Node {
	return pg.MakeBoolExprNode(pg.BoolExprType_NOT_EXPR, []*pg.Node{n}, -1)
}

func cast(n *pg.Node, t string) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: n, TypeName: duckType(t)}}}
}

func null() *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true, Location: -1}}}
}

func boolean(v bool) *pg.Node {
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Boolval{Boolval: &pg.Boolean{Boolval: v}}, Location: -1}}}
}

// literal returns the string of a string constant.
func literal(n *pg.Node) (string, bool) {
	if s, ok := n.GetAConst().GetVal().(*pg.A_Const_Sval); ok {
		return s.Sval.Sval, true
	}
	return "", false
}

func lastName(l []*pg.Node) string {
	if len(l) == 0 {
		return ""
	}
	return l[len(l)-1].GetString_().GetSval()
}
