package syntax

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// QueryText is the SQL text of a query.
func QueryText(s *pg.SelectStmt) (string, error) {
	text, err := deparseStatement(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}})
	if err != nil {
		return "", err
	}
	return text, nil
}

// ParseQuery reads the text of a query that is part of an object. The positions in it mean
// nothing to who names the object, and are taken away.
func ParseQuery(text string) (*pg.SelectStmt, error) {
	stmt, err := Parse(text)
	if err != nil {
		return nil, err
	}
	q, ok := stmt.Node.(*Query)
	if !ok || q.Select == nil {
		return nil, &Error{Code: "XX000", Message: "the text of a view is no query"}
	}
	unplace(q.Select.ProtoReflect())
	return q.Select, nil
}

// Unplace takes the positions out of an expression.
func Unplace(n *pg.Node) { unplace(n.ProtoReflect()) }

// unplace takes the positions out of a tree.
func unplace(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Name() == "location" && f.Kind() == protoreflect.Int32Kind:
			m.Set(f, protoreflect.ValueOfInt32(-1))
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				unplace(v.List().Get(i).Message())
			}
		default:
			unplace(v.Message())
		}
		return true
	})
}

// Walk calls fn with n and with each node below it; fn says whether it wants those below.
func Walk(n *pg.Node, fn func(*pg.Node) (below bool, err error)) error {
	return walk(n.ProtoReflect(), fn)
}

// WalkQuery is Walk of a query.
func WalkQuery(s *pg.SelectStmt, fn func(*pg.Node) (below bool, err error)) error {
	return walk(s.ProtoReflect(), fn)
}

// Walk calls fn with each node of a query that reads or changes rows.
func (q *Query) Walk(fn func(*pg.Node) (below bool, err error)) error {
	for _, m := range []proto.Message{q.Select, q.Insert, q.Update, q.Delete, q.Merge} {
		if m.ProtoReflect().IsValid() {
			if err := walk(m.ProtoReflect(), fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func walk(m protoreflect.Message, fn func(*pg.Node) (below bool, err error)) (err error) {
	if n, ok := m.Interface().(*pg.Node); ok {
		if below, err := fn(n); err != nil || !below {
			return err
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = walk(v.List().Get(i).Message(), fn)
			}
		default:
			err = walk(v.Message(), fn)
		}
		return err == nil
	})
	return err
}
