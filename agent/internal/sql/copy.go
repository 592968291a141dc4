package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/copyrows"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// CopyClient is a RowSink whose client takes what COPY gives, and gives what it takes.
type CopyClient interface {
	RowSink
	// CopyOut begins to give data, CopyData gives a row of it, and CopyDone ends it.
	CopyOut(binary bool, columns int) error
	CopyData(data []byte) error
	CopyDone() error
	// CopyIn asks for data, CopyNext gives another piece of it, or io.EOF, and waits for
	// it no longer than ctx, and CopyEnd says that no more is wanted.
	CopyIn(ctx context.Context, binary bool, columns int) error
	CopyNext(ctx context.Context) ([]byte, error)
	CopyEnd()
}

// copy runs COPY.
func (s *Session) copy(ctx context.Context, text string, node *syntax.Copy, sink RowSink, at time.Time) (string, error) {
	client, ok := sink.(CopyClient)
	if !ok {
		return "", syntax.Unsupported("COPY from inside of the server", "")
	}
	if node.From {
		return s.copyFrom(ctx, &copying{node, text, at}, client)
	}
	return s.copyTo(ctx, &copying{node, text, at}, client)
}

// copying is a COPY that is carried out.
type copying struct {
	node *syntax.Copy
	text string
	at   time.Time
}

// copied is the relation of a COPY, and those of its columns that are.
type copied struct {
	table   *catalog.Table // nil: a system table
	columns []copyrows.Column
	names   []string // of columns
}

// copied finds what is copied.
func (s *Session) copied(node *syntax.Copy) (*copied, error) {
	name := syntax.Name{Schema: node.Relation.GetSchemaname(), Name: node.Relation.GetRelname()}
	scope := s.scope()
	if t, ok := scope.Table(name.Schema, name.Name); ok && t.Desc.View == nil {
		out := &copied{table: t}
		return out, cmp.Or(scope.Settled(t), out.choose(node))
	} else if ok {
		return nil, notCopied(node, "materialized view", t.Name())
	}
	if v, ok := scope.FindView(name.Schema, name.Name); ok {
		return nil, notCopied(node, "view", v.Desc.Name)
	}
	if o, ok := scope.Relation(name); ok && o.Sequence != nil {
		return nil, notCopied(node, "sequence", o.Name)
	}
	system, ok := s.server.systemTable(name.Schema, name.Name)
	if !ok {
		return nil, &Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", strings.TrimPrefix(name.Schema+"."+name.Name, "."))}
	}
	if node.From {
		return nil, &Error{Code: "42501", Message: "permission denied for table " + name.Name}
	}
	out := &copied{}
	for _, c := range system.Columns {
		if !c.Hidden && (len(node.Columns) == 0 || slices.Contains(node.Columns, c.Name)) {
			out.names = append(out.names, c.Name)
		}
	}
	if len(node.Columns) > 0 {
		out.names = node.Columns
	}
	return out, nil
}

func notCopied(node *syntax.Copy, kind, name string) error {
	e := &Error{Code: "42809", Message: fmt.Sprintf("cannot copy from %s %q", kind, name)}
	switch {
	case node.From:
		e.Message = fmt.Sprintf("cannot copy to %s %q", kind, name)
		if kind == "view" {
			e.Hint = "To enable copying to a view, provide an INSTEAD OF INSERT trigger."
		}
	case kind != "sequence":
		e.Hint = "Try the COPY (SELECT ...) TO variant."
	}
	return e
}

// choose finds the columns that are copied.
func (c *copied) choose(node *syntax.Copy) error {
	add := func(i int) {
		column := &c.table.Columns[i]
		c.columns = append(c.columns, copyrows.Column{Name: column.Name, Type: column.Type, Modifier: column.Modifier})
		c.names = append(c.names, column.Name)
	}
	if len(node.Columns) == 0 {
		for i := range c.table.Columns {
			if column := &c.table.Columns[i]; !column.Hidden && column.Generated == "" {
				add(i)
			}
		}
	}
	for _, name := range node.Columns {
		i, err := c.named(name)
		if err != nil {
			return err
		}
		if slices.Contains(c.names, name) {
			return &Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", name)}
		}
		add(i)
	}
	return c.force(&node.Options)
}

func (c *copied) named(name string) (int, error) {
	i, ok := c.table.ColumnIndex(name)
	switch {
	case !ok || c.table.Columns[i].Hidden:
		return 0, &Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", name, c.table.Name())}
	case c.table.Columns[i].Generated != "":
		return 0, &Error{Code: "42P10", Message: fmt.Sprintf("column %q is a generated column", name), Detail: "Generated columns cannot be used in COPY."}
	}
	return i, nil
}

// force marks the columns that options name.
func (c *copied) force(o *syntax.CopyOptions) error {
	for _, f := range []struct {
		names []string
		what  string
		mark  func(*copyrows.Column)
	}{
		{o.ForceQuote, "FORCE_QUOTE", func(c *copyrows.Column) { c.Quoted = true }},
		{o.ForceNotNull, "FORCE_NOT_NULL", func(c *copyrows.Column) { c.NotNull = true }},
		{o.ForceNull, "FORCE_NULL", func(c *copyrows.Column) { c.Null = true }},
	} {
		for _, name := range f.names {
			if c.table != nil {
				if _, err := c.named(name); err != nil {
					return err
				}
			}
			i := slices.IndexFunc(c.columns, func(c copyrows.Column) bool { return c.Name == name })
			if i < 0 {
				return &Error{Code: "42P10", Message: fmt.Sprintf("%s column %q not referenced by COPY", f.what, name)}
			}
			f.mark(&c.columns[i])
		}
	}
	for i := range c.columns {
		c.columns[i].Quoted = c.columns[i].Quoted || o.ForceQuoteAll
	}
	return nil
}

// columnRefs are the columns by their names.
func columnRefs(names []string) []*pg.Node {
	out := make([]*pg.Node, len(names))
	for i, name := range names {
		ref := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{pg.MakeStrNode(name)}}}}
		out[i] = &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: ref}}}
	}
	return out
}

// copyTo gives rows to the client.
func (s *Session) copyTo(ctx context.Context, c *copying, client CopyClient) (string, error) {
	node := c.node
	q := node.Query
	var from *copied
	if q == nil {
		var err error
		if from, err = s.copied(node); err != nil {
			return "", err
		}
		relation := &pg.Node{Node: &pg.Node_RangeVar{RangeVar: node.Relation}}
		q = &syntax.Query{Select: &pg.SelectStmt{TargetList: columnRefs(from.names), FromClause: []*pg.Node{relation},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}
	}
	p := &Prepared{statement: &syntax.Statement{Text: c.text, Node: q}}
	if err := s.prepareQuery(ctx, p, q); err != nil {
		return "", err
	}
	if len(p.ParamOIDs) > 0 {
		return "", &Error{Code: "42P02", Message: "there is no parameter $1"}
	}
	if from == nil {
		from = &copied{}
	}
	if from.columns == nil {
		for _, column := range p.plan.Columns {
			from.columns = append(from.columns, copyrows.Column{Name: column.Name, Type: column.Type})
		}
		if err := from.force(&node.Options); err != nil {
			return "", err
		}
	}
	out := &copyOut{client: client, progress: &copyProgress{}, binary: node.Options.Format == syntax.CopyBinary, columns: len(from.columns),
		writer: copyrows.NewWriter(&node.Options, from.columns, &s.style)}
	if from.table != nil {
		out.progress.table = from.table.ObjectID()
	}
	s.seen.copies(out.progress)
	defer s.seen.copies(nil)
	if _, err := s.runQuery(ctx, p, q, nil, out, c.at); err != nil {
		return "", err
	}
	if err := out.end(); err != nil {
		return "", err
	}
	return "COPY " + strconv.FormatInt(out.rows, 10), nil
}

// copyOut is the sink of the query whose rows are copied.
type copyOut struct {
	client  CopyClient
	writer  *copyrows.Writer
	binary  bool
	columns int
	begun   bool
	rows    int64
	buf     []byte

	progress *copyProgress
}

// WaitWith implements ClientWaiter.
func (o *copyOut) WaitWith(p *admission.Place) {
	if w, ok := o.client.(ClientWaiter); ok {
		w.WaitWith(p)
	}
}

// Describe implements RowSink.
func (o *copyOut) Describe([]Column) error {
	if o.begun {
		return nil
	}
	o.begun = true
	if err := o.client.CopyOut(o.binary, o.columns); err != nil {
		return err //nolint:wrapcheck // it is of the client
	}
	if o.buf = o.writer.Begin(o.buf[:0]); len(o.buf) == 0 {
		return nil
	}
	return o.client.CopyData(o.buf) //nolint:wrapcheck // it is of the client
}

// Row implements RowSink.
func (o *copyOut) Row(row []datum.Datum) error {
	o.rows++
	o.buf = o.writer.Row(o.buf[:0], row)
	o.progress.rows.Add(1)
	o.progress.bytes.Add(int64(len(o.buf)))
	return o.client.CopyData(o.buf) //nolint:wrapcheck // it is of the client
}

func (o *copyOut) end() error {
	if err := o.Describe(nil); err != nil {
		return err
	}
	if o.buf = o.writer.End(o.buf[:0]); len(o.buf) > 0 {
		if err := o.client.CopyData(o.buf); err != nil {
			return err //nolint:wrapcheck // it is of the client
		}
	}
	return o.client.CopyDone() //nolint:wrapcheck // it is of the client
}

// copyFrom takes rows from the client: an INSERT whose rows come piece by piece. What the
// client has sent cannot be asked for again, so that it is not run again when others came
// first, as other statements that stand alone are.
func (s *Session) copyFrom(ctx context.Context, c *copying, client CopyClient) (tag string, err error) {
	node := c.node
	alone := s.tx == nil
	if alone {
		s.open(s.defaults(), c.at)
		defer func() {
			switch {
			case err == nil:
				err = s.finish(ctx)
			case s.server.cfg.Planted.copyStays():
				err = errors.Join(err, s.finish(ctx))
			default:
				s.endTransaction(true)
			}
		}()
	}
	to, err := s.copied(node)
	if err != nil {
		if e := AsError(err); e.Code == "42809" { // PostgreSQL finds it when it is about to write
			if err := client.CopyIn(ctx, node.Options.Format == syntax.CopyBinary, len(node.Columns)); err != nil {
				return "", err //nolint:wrapcheck // it is of the client
			}
			client.CopyEnd()
		}
		return "", err
	}
	p, err := s.copyInsert(ctx, c, to)
	if err != nil {
		return "", err
	}
	feed, err := s.copyFeed(ctx, node, to, client)
	if err != nil {
		return "", err
	}
	defer client.CopyEnd()
	p.feed = feed
	s.seen.copies(feed.progress)
	defer s.seen.copies(nil)
	nulls := make([]datum.Datum, len(to.columns))
	for i := range to.columns {
		nulls[i] = datum.MakeNull(to.columns[i].Type)
	}
	q := p.statement.Node.(*syntax.Query) //nolint:forcetypeassert // it is an INSERT
	tag, err = s.runQuery(ctx, p, q, nulls, feed, c.at)
	if err != nil {
		return "", err
	}
	return "COPY " + strings.TrimPrefix(tag, "INSERT 0 "), nil
}

// copyInsert plans the INSERT of a COPY: each row is its parameters.
func (s *Session) copyInsert(ctx context.Context, c *copying, to *copied) (*Prepared, error) {
	var values, targets []*pg.Node
	p := &Prepared{}
	for i, column := range to.columns {
		values = append(values, &pg.Node{Node: &pg.Node_ParamRef{ParamRef: &pg.ParamRef{Number: int32(i + 1)}}})
		targets = append(targets, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: column.Name}}})
		p.announced = append(p.announced, column.Type)
	}
	insert := &pg.InsertStmt{Relation: c.node.Relation, Cols: targets, Override: pg.OverridingKind_OVERRIDING_SYSTEM_VALUE}
	if len(values) > 0 {
		list := &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: values}}}
		insert.SelectStmt = &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{ValuesLists: []*pg.Node{list},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}}
	}
	q := &syntax.Query{Insert: insert}
	p.statement = &syntax.Statement{Text: c.text, Node: q}
	if err := s.prepareQuery(ctx, p, q); err != nil {
		return nil, err
	}
	if err := cmp.Or(s.permitQuery(p, q), s.permitCopyWhere(c.node)); err != nil {
		return nil, err
	}
	if s.current().readOnly && !s.writesTemporary(p.plan) {
		return nil, &Error{Code: "25006", Message: "cannot execute COPY FROM in a read-only transaction"}
	}
	if _, applies, err := s.policies(p)(to.table, ""); err != nil {
		return nil, err
	} else if applies {
		return nil, &Error{Code: "0A000", Message: "COPY FROM not supported with row-level security", Hint: "Use INSERT statements instead."}
	}
	return p, nil
}

// permitCopyWhere: who asks for rows by their columns needs the right to read these.
func (s *Session) permitCopyWhere(node *syntax.Copy) error {
	if node.Where == nil {
		return nil
	}
	relation := &pg.Node{Node: &pg.Node_RangeVar{RangeVar: node.Relation}}
	q := &syntax.Query{Select: &pg.SelectStmt{FromClause: []*pg.Node{relation}, WhereClause: node.Where}}
	return s.permitQuery(&Prepared{}, q)
}

// copyFeed asks the client for the data.
func (s *Session) copyFeed(ctx context.Context, node *syntax.Copy, to *copied, client CopyClient) (*copyIn, error) {
	feed := &copyIn{client: client, table: to.table.Name(), progress: &copyProgress{table: to.table.ObjectID(), from: true}}
	if node.Where != nil {
		where, err := queryplan.CopyWhere(to.table, node.Where)
		if err != nil {
			return nil, err
		}
		feed.where = where
	}
	more := func() ([]byte, error) {
		b, err := client.CopyNext(feed.ctx)
		feed.progress.bytes.Add(int64(len(b)))
		return b, err
	}
	feed.reader, feed.ctx = copyrows.NewReader(&node.Options, to.columns, s.Reading(), more), ctx
	return feed, client.CopyIn(ctx, node.Options.Format == syntax.CopyBinary, len(to.columns))
}

// copyIn feeds an INSERT with what the client sends.
type copyIn struct {
	client CopyClient
	ctx    context.Context //nolint:containedctx // of the statement
	reader *copyrows.Reader
	table  string
	where  queryplan.Expr

	progress *copyProgress
}

// WaitWith implements ClientWaiter.
func (c *copyIn) WaitWith(p *admission.Place) {
	if w, ok := c.client.(ClientWaiter); ok {
		w.WaitWith(p)
	}
}

// Describe and Row implement RowSink: the INSERT gives no rows.
func (*copyIn) Describe([]Column) error { return nil }

// Row implements RowSink.
func (*copyIn) Row([]datum.Datum) error { return nil }

// Next implements exec.Feed.
func (c *copyIn) Next() ([]datum.Datum, int64, error) {
	row, err := c.reader.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, c.at(err)
	}
	return row, c.reader.Line(), err
}

// Where implements exec.Feed.
func (c *copyIn) Where() queryplan.Expr { return c.where }

// Excluded implements exec.Feed.
func (c *copyIn) Excluded() { c.progress.excluded.Add(1) }

// Wrote implements exec.Feed.
func (c *copyIn) Wrote(rows int) { c.progress.rows.Add(int64(rows)) }

// At implements exec.Feed.
func (c *copyIn) At(err error) error { return c.at(err) }

// AtLine implements exec.Feed.
func (c *copyIn) AtLine(err error, line int64) error {
	return c.placedAt(err, fmt.Sprintf("line %d", line))
}

func (c *copyIn) at(err error) error { return c.placedAt(err, c.reader.Where()) }

// placedAt has an error say where in the data it is.
func (c *copyIn) placedAt(err error, where string) error {
	told := *AsError(err)
	told.Context = strings.TrimPrefix(told.Context+"\n"+strings.TrimSuffix("COPY "+c.table+", "+where, ", "), "\n")
	told.cause = err
	return &told
}
