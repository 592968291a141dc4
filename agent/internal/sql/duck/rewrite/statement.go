package rewrite

import (
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Input is what is rewritten.
type Input struct {
	Select     *pg.SelectStmt // not changed
	Resolve    Resolver
	ParamTypes []datum.Type // datum.Unknown: to be found out
	Session    Session
}

// Statement is the rewritten form.
type Statement struct {
	Scans []*Scan
	// Columns are those of the result; nil if a * could not be taken apart here.
	Columns []Column
	// Params are the types of the statement's parameters, datum.Unknown where its
	// text does not say.
	Params []datum.Type
	// Now is the number of the parameter that is the time of the transaction, one
	// more than the statement has; 0 if it is not needed.
	Now int

	mu     sync.Mutex
	tree   *pg.ParseResult
	params []*pg.Node
}

// parserVersion is that of PostgreSQL's parser; the deparser checks it.
const parserVersion = 170007

// Rewrite rewrites a statement. Errors are *Error.
func Rewrite(in Input) (*Statement, error) {
	if err := checkDepth(in.Select); err != nil {
		return nil, err
	}
	tree := proto.Clone(in.Select).(*pg.SelectStmt)
	r := &rewriter{in: in, made: map[*pg.Node]bool{}, params: append([]datum.Type(nil), in.ParamTypes...)}
	r.hidden = namesIn(tree)
	r.top = tree
	columns, err := r.query(tree, nil)
	if err != nil {
		return nil, err
	}
	if r.usesNow {
		r.nowNumber()
	}
	s := &Statement{
		Scans: r.scans, Params: r.params, Now: r.now, params: r.paramRefs,
		tree: &pg.ParseResult{Version: parserVersion, Stmts: []*pg.RawStmt{{Stmt: selectNode(tree)}}},
	}
	if columns.known {
		s.Columns = make([]Column, len(columns.list))
		for i, c := range columns.list {
			s.Columns[i] = Column{Name: c.name, Type: c.typ, Scan: c.scan, Index: c.index}
		}
	}
	return s, nil
}

// SQL returns DuckDB's text of the statement. Parameter n is cast to types[n-1], a
// name of a DuckDB type, unless it is "".
func (s *Statement) SQL(types []string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.params {
		ref := paramRef(n)
		if t := types[ref.Number-1]; t == "" {
			n.Node = &pg.Node_ParamRef{ParamRef: ref}
		} else {
			n.Node = &pg.Node_TypeCast{TypeCast: &pg.TypeCast{
				Arg: &pg.Node{Node: &pg.Node_ParamRef{ParamRef: ref}}, TypeName: duckType(t),
			}}
		}
	}
	sql, err := pg.Deparse(s.tree)
	if err != nil {
		return "", unsupported(0, "this form of statement")
	}
	return sql, nil
}

// paramRef returns the parameter that n is, cast or not.
func paramRef(n *pg.Node) *pg.ParamRef {
	if p := n.GetParamRef(); p != nil {
		return p
	}
	return n.GetTypeCast().Arg.GetParamRef()
}

func selectNode(s *pg.SelectStmt) *pg.Node {
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}
}
