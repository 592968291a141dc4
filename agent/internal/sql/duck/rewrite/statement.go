package rewrite

import (
	"iter"
	"math"
	"slices"
	"strings"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Input is what is rewritten.
type Input struct {
	Select     *pg.SelectStmt // not changed
	Resolve    Resolver
	ParamTypes []datum.Type // datum.Unknown: to be found out
	Session    Session
	// Inline finds what stands for the call of a function that somebody has made; nil:
	// there are none.
	Inline func(f *pg.FuncCall, typeOf func(*pg.Node) datum.Type) (*Inlined, error)
	// Types are what operations and calls are of, by their locations, as far as that is known.
	Types map[int32]datum.Type
}

// Statement is the rewritten form.
type Statement struct {
	Scans []*Scan
	// Columns are those of the result; nil if a * could not be taken apart here.
	Columns []Column
	// Records are what the columns of the result are made of where some are rows; nil: none is.
	Records []Record
	// Params are the types of the statement's parameters, datum.Unknown where its
	// text does not say.
	Params []datum.Type
	// Now is the number of the parameter that is the time of the transaction, one
	// more than the statement has; 0 if it is not needed.
	Now int
	// Streams says that it gives one row after the other, each by itself.
	Streams bool
	// Fails is why it fails whatever rows there are; nil: it need not.
	Fails *Error

	mu     sync.Mutex
	tree   *pg.ParseResult
	params []param
	// textLists are the numbers of parameters that are arrays of texts.
	textLists []int
}

// param is a place in the tree where a parameter stands.
type param struct {
	node *pg.Node
	ref  *pg.ParamRef
	// list says that it is an array of numerics, texts that it is one of texts here.
	list, texts bool
}

// parserVersion is that of PostgreSQL's parser; the deparser checks it.
const parserVersion = 170007

// Rewrite rewrites a statement. Errors are *Error.
func Rewrite(in Input) (*Statement, error) {
	if err := checkDepth(in.Select); err != nil {
		return nil, err
	}
	tree := proto.Clone(in.Select).(*pg.SelectStmt)
	byPosition(tree.ProtoReflect())
	splitDefaults(tree.ProtoReflect())
	takeRecords(tree)
	if err := expandRows(tree); err != nil {
		return nil, err
	}
	r := &rewriter{in: in, trials: new(int), made: map[*pg.Node]bool{}, givesText: map[*pg.Node]bool{}, textual: map[*pg.Node]bool{}, digitless: map[*pg.Node]bool{}, derived: map[*pg.SelectStmt]bool{}, subtracted: map[*pg.SelectStmt]bool{}, shadows: map[string]bool{}, mayWrite: true, tries: (*rewriter).query, params: append([]datum.Type(nil), in.ParamTypes...)}
	r.castCalls(tree.ProtoReflect())
	r.hidden = namesIn(tree)
	streams := tree.Op == pg.SetOperation_SETOP_NONE && len(tree.FromClause) > 0 && len(tree.SortClause)+len(tree.GroupClause)+len(tree.DistinctClause)+len(tree.WindowClause) == 0 &&
		tree.LimitCount == nil && tree.LimitOffset == nil
	r.top = tree
	columns, err := r.query(tree, nil)
	if err == nil && r.views > 0 {
		err = checkDepth(tree)
	}
	if err == nil {
		err = r.refused
	}
	if err != nil {
		return nil, err
	}
	keepOrder(tree)
	r.apart(tree)
	r.unshadow(tree)
	if r.usesNow {
		r.nowNumber()
	}
	s := &Statement{
		Streams: streams, Fails: r.fails,
		Scans: r.scans, Params: r.params, Now: r.now,
		tree: &pg.ParseResult{Version: parserVersion, Stmts: []*pg.RawStmt{{Stmt: selectNode(tree)}}},
	}
	for _, n := range r.paramRefs {
		number := int(n.GetParamRef().GetNumber())
		p := param{node: n, ref: n.GetParamRef(), list: number <= len(r.params) && r.params[number-1] == numericList}
		if p.texts = p.list && r.textual[n]; p.texts {
			s.textLists = append(s.textLists, number)
		}
		s.params = append(s.params, p)
	}
	if r.records != nil && !columns.known {
		return nil, refuseRow()
	}
	if columns.known {
		s.Records = r.records
		for _, c := range columns.list {
			if c.typ == datum.Bpchar && c.modifier <= 0 && c.scan == nil && !c.blanks {
				return nil, severalLengths()
			}
		}
		s.Columns = make([]Column, len(columns.list))
		for i, c := range columns.list {
			s.Columns[i] = Column{Name: c.name, Type: c.typ, Modifier: -1, Written: c.written, Text: c.text, Scan: c.scan, Index: c.index}
			if c.typ.Elem() == datum.Bpchar && c.modifier > 0 {
				s.Columns[i].Modifier = c.modifier
			}
		}
	}
	return s, nil
}

// SQL returns DuckDB's text of the statement. Parameter n is cast to types[n-1], a
// name of a DuckDB type, unless it is "". The parameters of the text are numbered anew: used says
// which they were, from 1. DuckDB takes no value of one whose number is beyond how many there are.
func (s *Statement) SQL(types []string) (sql string, used []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.params {
		p.put(p.ref.Number, types[p.ref.Number-1])
	}
	tree, used := compacted(s.tree)
	sql, err = deparse(tree)
	return sql, used, err
}

// compacted numbers the parameters of a tree anew, without gaps; used are what they were.
func compacted(tree *pg.ParseResult) (_ *pg.ParseResult, used []int) {
	for ref := range paramsOf(tree) {
		used = append(used, int(ref.Number))
	}
	slices.Sort(used)
	used = slices.Compact(used)
	if len(used) == 0 || used[len(used)-1] == len(used) {
		return tree, used
	}
	tree = proto.CloneOf(tree)
	for ref := range paramsOf(tree) {
		ref.Number = int32(slices.Index(used, int(ref.Number)) + 1) //nolint:gosec // at most 65535
	}
	return tree, used
}

// paramsOf are the places of parameters in a tree.
func paramsOf(tree *pg.ParseResult) iter.Seq[*pg.ParamRef] {
	return func(yield func(*pg.ParamRef) bool) {
		more := true
		syntax.EachMessage(tree.ProtoReflect(), func(m protoreflect.Message) bool {
			if ref, ok := m.Interface().(*pg.ParamRef); ok && more {
				more = yield(ref)
			}
			return more
		})
	}
}

// SQLOf is SQL for the first rows alone: those of the one table or function that it reads, or
// of what it gives.
func (s *Statement) SQLOf(types []string, rows int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.params {
		p.put(p.ref.Number, types[p.ref.Number-1])
	}
	tree := proto.Clone(s.tree).(*pg.ParseResult) //nolint:forcetypeassert // of one type
	top := tree.Stmts[0].Stmt.GetSelectStmt()
	of := top
	if alias := aliasOf(top.FromClause[0]); len(top.FromClause) == 1 && alias != "" {
		star := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}}}}
		of = &pg.SelectStmt{TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: star}}}}, FromClause: top.FromClause}
		top.FromClause = []*pg.Node{{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: selectNode(of), Alias: &pg.Alias{Aliasname: alias}}}}}
	}
	of.LimitOption, of.LimitCount = pg.LimitOption_LIMIT_OPTION_COUNT, integer(int64(rows))
	tree, _ = compacted(tree)
	return deparse(tree)
}

// aliasOf is that of a table, function or query in FROM.
func aliasOf(n *pg.Node) string {
	switch {
	case n.GetRangeFunction() != nil:
		return n.GetRangeFunction().GetAlias().GetAliasname()
	case n.GetRangeSubselect() != nil:
		return n.GetRangeSubselect().GetAlias().GetAliasname()
	}
	return n.GetRangeVar().GetAlias().GetAliasname()
}

// SQLWithValues is SQL with the values of parameters in the text, where DuckDB reads
// a constant as the same value. The others are numbered anew: rest says which they
// were, from 1.
func (s *Statement) SQLWithValues(types []string, values []datum.Datum) (sql string, rest []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers := map[int32]int32{}
	for _, p := range s.params {
		n := p.ref.Number
		if int(n) <= len(values) {
			if constant, ok := argument(values[n-1]); ok {
				p.node.Node = constant.Node
				continue
			}
		}
		if numbers[n] == 0 {
			rest = append(rest, int(n))
			numbers[n] = int32(len(rest))
		}
		p.put(numbers[n], types[n-1])
	}
	sql, err = deparse(s.tree)
	return sql, rest, err
}

// ListOfTexts reports whether parameter n is an array of numerics that is given as one of texts.
func (s *Statement) ListOfTexts(n int) bool { return slices.Contains(s.textLists, n) }

// put makes the parameter's node the one with a number, cast to a type unless it is "".
func (p *param) put(number int32, typ string) {
	ref := &pg.Node_ParamRef{ParamRef: &pg.ParamRef{Number: number, Location: -1}}
	if p.texts {
		typ = "VARCHAR[]"
	} else if p.list {
		typ = numericType(-1).SQL() + "[]"
	}
	if p.node.Node = ref; typ != "" {
		p.node.Node = &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: &pg.Node{Node: ref}, TypeName: duckType(typ)}}
	}
}

func deparse(tree *pg.ParseResult) (string, error) {
	sql, err := syntax.Deparse(tree)
	if err != nil {
		return "", unsupported(0, "this form of statement")
	}
	return sql, nil
}

// argument makes a constant of an argument, if DuckDB reads it as the same value.
func argument(d datum.Datum) (*pg.Node, bool) {
	if text := d.Text(); !d.Null && d.Type.IsDateTime() && (len(text) < 5 || text[4] != '-' || strings.HasSuffix(text, "BC")) {
		return nil, false // infinite, or of another era
	}
	if d.Type.IsArray() || d.Type.IsFloat() && (math.IsInf(d.F, 0) || math.IsNaN(d.F)) {
		return nil, false
	}
	n, err := constantOf(d)
	return n, err == nil
}

func selectNode(s *pg.SelectStmt) *pg.Node {
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}
}
