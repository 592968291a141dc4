package syntax

import (
	"math"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sequenceFunctions are those whose first argument names a sequence.
var sequenceFunctions = map[string]bool{"nextval": true, "currval": true, "setval": true}

// SequenceFunction returns the name of the function if its first argument names a
// sequence, "" if not.
func SequenceFunction(f *pg.FuncCall) string {
	names := texts(f.GetFuncname())
	if len(names) == 0 || len(names) > 2 || len(names) == 2 && names[0] != "pg_catalog" || len(f.GetArgs()) == 0 {
		return ""
	}
	if name := names[len(names)-1]; sequenceFunctions[name] {
		return name
	}
	return ""
}

// SequenceText returns the text of a constant that names a sequence: 's', 's'::regclass.
func SequenceText(n *pg.Node) (text string, ok bool) {
	if cast := n.GetTypeCast(); cast != nil {
		switch names := texts(cast.GetTypeName().GetNames()); names[len(names)-1] {
		case "regclass", "text", "varchar":
			return SequenceText(cast.GetArg())
		}
		return "", false
	}
	if s := n.GetAConst().GetSval(); s != nil {
		return s.GetSval(), true
	}
	return "", false
}

// RelationName reads a name as it stands in a text: 's', 'app.s', '"S"'.
func RelationName(text string) (Name, error) {
	p := &cursor{text: text, lexer: lexer{text: text}}
	p.advance()
	name, err := p.name()
	if err != nil || p.token.kind != tokenEnd {
		return name, &Error{Code: "42602", Message: "invalid name syntax"}
	}
	name.Position = 0
	return name, nil
}

// QuoteName writes a name such that RelationName and PostgreSQL read it again.
func QuoteName(n Name) string {
	out := QuoteIdent(n.Name)
	if n.Schema != "" {
		out = QuoteIdent(n.Schema) + "." + out
	}
	return out
}

// MentionsSequence reports whether the SQL text of an expression may call a function whose
// argument names a sequence.
func MentionsSequence(text string) bool {
	for name := range sequenceFunctions {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// BindSequences returns the SQL text of an expression in which sequences that calls name
// by a constant stand by the id that find returns for the name.
func BindSequences(text string, find func(Name) (uint64, error)) (string, error) {
	return mapSequences(text, func(call *pg.FuncCall) error {
		arg := call.GetArgs()[0]
		name, ok := SequenceText(arg)
		if !ok {
			if arg.GetAConst() != nil {
				return &Error{Code: "0A000", Message: "a sequence that is not named by its name is not supported here"}
			}
			return nil // it is found when the expression is computed
		}
		n, err := RelationName(name)
		if err != nil {
			return err
		}
		id, err := find(n)
		if err == nil {
			call.Args[0] = numberNode(id)
		}
		return err
	})
}

// NameSequences is the other way round: ids become names, as PostgreSQL shows them. An id
// that name does not know stays.
func NameSequences(text string, name func(uint64) (Name, bool)) (string, error) {
	return mapSequences(text, func(call *pg.FuncCall) error {
		id, ok := SequenceID(call.GetArgs()[0])
		if !ok {
			return nil
		}
		if n, ok := name(id); ok {
			call.Args[0] = sequenceNode(n)
		}
		return nil
	})
}

// sequenceNode is the constant that names a sequence.
func sequenceNode(n Name) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{
		Arg:      &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Sval{Sval: &pg.String{Sval: QuoteName(n)}}}}},
		TypeName: &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("regclass")}, Typemod: -1}}}}
}

// SequenceIDs are the ids of the sequences that a bound expression names.
func SequenceIDs(text string) ([]uint64, error) {
	var out []uint64
	_, err := mapSequences(text, func(call *pg.FuncCall) error {
		if id, ok := SequenceID(call.GetArgs()[0]); ok {
			out = append(out, id)
		}
		return nil
	})
	return out, err
}

// SequenceID reads the id that BindSequences has written.
func SequenceID(n *pg.Node) (uint64, bool) {
	c := n.GetAConst()
	switch {
	case c.GetIval() != nil:
		return uint64(c.GetIval().GetIval()), true //nolint:gosec // written from an id
	case c.GetFval() != nil:
		id, err := strconv.ParseUint(c.GetFval().GetFval(), 10, 64)
		return id, err == nil
	}
	return 0, false
}

func numberNode(id uint64) *pg.Node {
	c := &pg.A_Const{Val: &pg.A_Const_Fval{Fval: &pg.Float{Fval: strconv.FormatUint(id, 10)}}}
	if id <= math.MaxInt32 {
		c.Val = &pg.A_Const_Ival{Ival: &pg.Integer{Ival: int32(id)}} //nolint:gosec // checked
	}
	return &pg.Node{Node: &pg.Node_AConst{AConst: c}}
}

// mapSequences changes the calls in an expression.
func mapSequences(text string, change func(*pg.FuncCall) error) (string, error) {
	if !MentionsSequence(text) {
		return text, nil
	}
	tree, err := pg.Parse("SELECT " + text)
	if err != nil {
		return "", parserError(text, err)
	}
	targets := tree.GetStmts()[0].GetStmt().GetSelectStmt().GetTargetList()
	if len(targets) != 1 {
		return text, nil
	}
	expr := targets[0].GetResTarget().GetVal()
	if err := eachSequenceCall(expr, change); err != nil {
		return "", err
	}
	out, wrong := deparse(expr)
	if wrong != nil {
		return "", wrong
	}
	return out, nil
}

// HasSequenceCall reports whether an expression, or a statement, calls a function of
// sequences.
func HasSequenceCall(m proto.Message) bool {
	found := false
	_ = eachFunction(m.ProtoReflect(), func(f *pg.FuncCall) error {
		names := texts(f.GetFuncname())
		found = found || SequenceFunction(f) != "" || len(names) > 0 && names[len(names)-1] == "lastval"
		return nil
	})
	return found
}

func eachSequenceCall(m proto.Message, fn func(*pg.FuncCall) error) error {
	return eachFunction(m.ProtoReflect(), func(f *pg.FuncCall) error {
		if SequenceFunction(f) == "" {
			return nil
		}
		return fn(f)
	})
}

// eachFunction calls fn with each call of a function in m.
func eachFunction(m protoreflect.Message, fn func(*pg.FuncCall) error) (err error) {
	if f, ok := m.Interface().(*pg.FuncCall); ok {
		if err := fn(f); err != nil {
			return err
		}
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range v.List().Len() {
				if err = eachFunction(v.List().Get(i).Message(), fn); err != nil {
					return false
				}
			}
		default:
			err = eachFunction(v.Message(), fn)
		}
		return err == nil
	})
	return err
}
