package queryplan

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Program is what nodes compute of the rows of a scan for a Grouping: which rows count, in
// groups by what, and which functions of what. It holds all that it takes, so that a node
// needs to know nothing of the table, or more than its gateway.
type Program struct {
	text   []byte // a program, encoded
	params []datum.Type
}

// program is a Program, as nodes tell it to each other.
type program struct {
	// Table has the columns that are needed, and those of the key; of Index the entries are
	// read. 0: the rows are.
	Table *cluster.Object  `json:"table"`
	Index cluster.ObjectID `json:"index,omitempty"`
	Alias string           `json:"alias"`
	// Params are the types of what the statement was given, by their numbers in PostgreSQL.
	Params []uint32 `json:"params,omitempty"`
	// Query is a SELECT of the parser's: its WHERE, its GROUP BY and, as its list, calls of
	// aggregate functions.
	Query []byte `json:"query"`
	// Rows says that what comes out are the rows for which the condition holds.
	Rows bool `json:"rows,omitempty"`
}

var errProgram = errors.New("malformed program")

// programOf makes the program of a Select; nil: nodes cannot compute what it asks for.
func (p *Planner) programOf(s *Select) *Program {
	g := s.Group
	switch {
	case g == nil && (s.Filter == nil || s.Ordered || s.Lock != nil || s.Apart), g != nil && g.Ends != nil:
		return nil
	case s.from == nil || !s.Access.scans() || len(p.routines) > 0 || p.calls:
		return nil
	}
	table, ok := needed(s)
	if !ok || !portable(s) {
		return nil
	}
	query := &pg.SelectStmt{WhereClause: s.from.where}
	if g != nil {
		query.GroupClause, query.TargetList = g.by, g.calls
	}
	text, err := proto.Marshal(query)
	if err != nil {
		return nil
	}
	out := program{Table: table, Alias: s.from.alias, Query: text, Rows: g == nil}
	if s.Access.Index != nil {
		out.Index = s.Access.Index.Index.Desc.ID
	}
	for _, t := range p.params.Types {
		out.Params = append(out.Params, t.OID())
	}
	made := &Program{params: slices.Clone(p.params.Types)}
	if made.text, err = json.Marshal(&out); err != nil {
		return nil
	}
	// A node compiles it as is done here: what is not understood here is not there.
	if c, err := compileProgram(made.text); err != nil || g != nil && !c.like(g) {
		return nil
	}
	return made
}

// scans reports whether all that is needed comes by scans.
func (a *Access) scans() bool {
	return !a.ByKey() && (a.Index == nil || a.Covering && a.Recheck == "" && !(a.Index.Index.Single() && len(a.Points) > 0))
}

// portable reports whether what a Select computes of rows is the same wherever it is
// computed.
func portable(s *Select) bool {
	exprs := []Expr{s.Filter}
	if g := s.Group; g != nil {
		exprs = slices.Concat(exprs, g.By, g.Args, g.Filters)
	}
	for _, e := range exprs {
		if e != nil && !everywhere(e) {
			return false
		}
	}
	return true
}

// everywhere reports whether e depends on what is sent alone: the row, the parameters, the
// time zone and when the statement and its transaction began.
func everywhere(e Expr) bool {
	if f, ok := e.(*fn); ok && (f.volatile || len(f.args) == 0 && !f.moment) {
		return false
	}
	return !slices.ContainsFunc(children(e), func(c Expr) bool { return !everywhere(c) })
}

// needed is the table with no more than a Select needs of it; !ok: that are columns of types
// that somebody has made.
func needed(s *Select) (*cluster.Object, bool) {
	full, wanted := s.Table, s.wanted()
	if s.Filter != nil {
		markColumns(s.Filter, wanted)
	}
	for _, i := range full.Key {
		wanted[i] = true
	}
	rows := cluster.Collection{PrimaryKey: full.Desc.Collection.PrimaryKey, NextColumn: full.Desc.Collection.NextColumn}
	if s.Access.Index != nil {
		x := s.Access.Index.Index
		for _, c := range x.Columns {
			if c.Column < 0 {
				return nil, false
			}
			wanted[c.Column] = true
		}
		for _, i := range x.Include {
			wanted[i] = true
		}
		rows.Indexes = []cluster.Index{{ID: x.Desc.ID, Name: x.Desc.Name, Unique: x.Desc.Unique, NullsNotDistinct: x.Desc.NullsNotDistinct, Deferrable: x.Desc.Deferrable,
			Columns: x.Desc.Columns, Include: x.Desc.Include, State: x.Desc.State}}
	}
	for i := range full.Columns {
		if !wanted[i] {
			continue
		}
		c := full.Desc.Collection.Columns[i]
		if c.UserType != 0 || full.Columns[i].User != nil {
			return nil, false
		}
		rows.Columns = append(rows.Columns, cluster.Column{ID: c.ID, Name: c.Name, Type: c.Type, Modifier: c.Modifier, NotNull: c.NotNull, Missing: c.Missing, Hidden: c.Hidden})
	}
	return &cluster.Object{ID: full.Desc.ID, Kind: full.Desc.Kind, Name: full.Desc.Name, Version: full.Desc.Version, Collection: &rows}, true
}

// With is the program with what a statement knows, to be sent to nodes; nil: its time zone has
// no name.
func (p *Program) With(env *Env) []byte {
	zone := env.location().String()
	if _, err := datum.LoadZone(zone); err != nil {
		return nil
	}
	out := binary.AppendUvarint(make([]byte, 0, len(p.text)+64), uint64(len(p.text)))
	out = append(out, p.text...)
	out = append(binary.AppendUvarint(out, uint64(len(zone))), zone...)
	out = binary.BigEndian.AppendUint64(out, uint64(env.Now.UnixNano()))
	out = binary.BigEndian.AppendUint64(out, uint64(env.Statement.UnixNano()))
	for i := range p.params {
		out = append(out, datum.EncodeStored(env.Args[i])...)
	}
	return out
}

// Compiled is a program that a node has compiled. It is immutable.
type Compiled struct {
	Decoder *catalog.Decoder
	Columns int // of the rows that Decoder fills
	Filter  Expr
	// Rows says that what comes out are rows.
	Rows bool
	Grouping
	params []datum.Type
}

// SplitProgram takes what With has made apart: the program, which is the same each time
// that a statement is run, and what the statement knows.
func SplitProgram(b []byte) (text, known []byte, err error) {
	r := codec.Read(b, errProgram)
	text = r.Bytes()
	return text, r.Rest(), r.Err()
}

// CompileProgram compiles a program.
func CompileProgram(text []byte) (*Compiled, error) {
	c, err := compileProgram(text)
	if err != nil {
		return nil, fmt.Errorf("compile a program: %w", err)
	}
	return c, nil
}

func compileProgram(text []byte) (*Compiled, error) {
	var in program
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, errors.Join(errProgram, err)
	}
	var query pg.SelectStmt
	if err := proto.Unmarshal(in.Query, &query); err != nil {
		return nil, errors.Join(errProgram, err)
	}
	if in.Table == nil || in.Table.Collection == nil {
		return nil, errProgram
	}
	table, err := catalog.Scope{}.NewTable(in.Table, nil)
	if err != nil {
		return nil, err
	}
	out := &Compiled{Columns: len(table.Columns), Rows: in.Rows}
	for _, oid := range in.Params {
		t, ok := datum.TypeByOID(oid)
		if !ok {
			return nil, errProgram
		}
		out.params = append(out.params, t)
	}
	c := &compiler{scope: tableScope(table, in.Alias), params: &Params{Types: out.params}, elsewhere: true}
	if err := out.compile(c, &query); err != nil {
		return nil, err
	}
	return out, out.decode(table, in.Index)
}

// compile compiles what a program says of rows.
func (p *Compiled) compile(c *compiler, query *pg.SelectStmt) (err error) {
	if p.Filter, err = c.where(query.GetWhereClause()); err != nil {
		return err
	}
	p.Filter = cheapestFirst(p.Filter)
	for _, n := range query.GetGroupClause() {
		e, err := c.expr(n)
		if err != nil {
			return err
		}
		p.By = append(p.By, e)
	}
	for _, n := range query.GetTargetList() {
		name, ok := functionName(n.GetFuncCall())
		if !ok {
			return errProgram
		}
		if _, err := c.aggregate(n.GetFuncCall(), name.Name, &p.Aggregates); err != nil {
			return err
		}
	}
	return nil
}

// decode says which columns are to be read, of rows or of entries of an index.
func (p *Compiled) decode(table *catalog.Table, index cluster.ObjectID) error {
	wanted := make([]bool, len(table.Columns))
	p.mark(wanted)
	if p.Filter != nil {
		markColumns(p.Filter, wanted)
	}
	if index == 0 {
		p.Decoder = table.NewDecoder(wanted)
		return nil
	}
	for _, x := range table.Indexes {
		if x.Desc.ID == index && x.Covers(wanted) {
			p.Decoder = x.NewDecoder(wanted)
			return nil
		}
	}
	return errProgram
}

// like reports whether what comes out is what g says.
func (p *Compiled) like(g *Grouping) bool {
	return slices.Equal(p.Types(), g.Types()) && slices.Equal(p.Functions, g.Functions)
}

// Env decodes what a statement knows.
func (p *Compiled) Env(known []byte) (Env, error) {
	r := codec.Read(known, errProgram)
	zone, err := datum.LoadZone(string(r.Bytes()))
	if err != nil {
		return Env{}, errProgram
	}
	env := Env{Now: time.Unix(0, int64(r.Uint64())), Statement: time.Unix(0, int64(r.Uint64())), Session: &Session{Location: zone}, Args: make([]datum.Datum, len(p.params))}
	rest := r.Rest()
	for i, t := range p.params {
		if env.Args[i], rest, err = datum.TakeStored(t, rest); err != nil {
			return env, errProgram
		}
	}
	if len(rest) > 0 {
		r.Fail("%d bytes after the parameters", len(rest))
	}
	return env, r.Err()
}
