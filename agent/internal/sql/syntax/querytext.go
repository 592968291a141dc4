package syntax

import (
	"slices"

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

// Text is the SQL text of a query that reads or changes rows.
func (q *Query) Text() (string, error) {
	var n pg.Node
	switch {
	case q.Insert != nil:
		n.Node = &pg.Node_InsertStmt{InsertStmt: q.Insert}
	case q.Update != nil:
		n.Node = &pg.Node_UpdateStmt{UpdateStmt: q.Update}
	case q.Delete != nil:
		n.Node = &pg.Node_DeleteStmt{DeleteStmt: q.Delete}
	default:
		return QueryText(q.Select)
	}
	text, err := deparseStatement(&n)
	if err != nil {
		return "", err
	}
	return text, nil
}

// Clone is a query that can be changed by itself.
func (q *Query) Clone() *Query {
	out := *q
	out.Select, out.Insert, out.Update, out.Delete = proto.CloneOf(q.Select), proto.CloneOf(q.Insert), proto.CloneOf(q.Update), proto.CloneOf(q.Delete)
	return &out
}

// messages are the parts of a query that are there.
func (q *Query) messages() []proto.Message {
	return slices.DeleteFunc([]proto.Message{q.Select, q.Insert, q.Update, q.Delete, q.Merge}, func(m proto.Message) bool { return !m.ProtoReflect().IsValid() })
}

// Tree is what a query that reads or changes rows is.
func (q *Query) Tree() proto.Message { return q.messages()[0] }

// ParseStatements reads the statements of a body that is part of an object, without positions.
func ParseStatements(text string) ([]*Query, error) {
	var out []*Query
	for _, part := range Split(text) {
		stmt, err := Parse(part)
		if err != nil {
			return nil, err
		}
		q, ok := stmt.Node.(*Query)
		if !ok {
			return nil, &Error{Code: "XX000", Message: "the text of a body is no query"}
		}
		unplace(q.Tree().ProtoReflect())
		out = append(out, q)
	}
	return out, nil
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

// WalkAll is Walk of all nodes of a tree.
func WalkAll(m proto.Message, fn func(*pg.Node) (below bool, err error)) error {
	return walk(m.ProtoReflect(), fn)
}

// WalkQuery is Walk of a query.
func WalkQuery(s *pg.SelectStmt, fn func(*pg.Node) (below bool, err error)) error {
	return walk(s.ProtoReflect(), fn)
}

// Walk calls fn with each node of a query that reads or changes rows.
func (q *Query) Walk(fn func(*pg.Node) (below bool, err error)) error {
	for _, m := range q.messages() {
		if err := walk(m.ProtoReflect(), fn); err != nil {
			return err
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

// EachMessage calls fn with m and, where that says so, with all messages below it.
func EachMessage(m protoreflect.Message, fn func(protoreflect.Message) (below bool)) {
	if !fn(m) {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Kind() != protoreflect.MessageKind:
		case fd.IsList():
			for i := range v.List().Len() {
				EachMessage(v.List().Get(i).Message(), fn)
			}
		default:
			EachMessage(v.Message(), fn)
		}
		return true
	})
}
