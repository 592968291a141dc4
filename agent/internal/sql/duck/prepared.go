package duck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/columnar"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// manyParams is the number of parameters above which their values are written into
// the text: DuckDB looks for each that is bound among all of them.
const manyParams = 500

// prepared is what Engine.Prepare returns.
type prepared struct {
	engine  *Engine
	rewrite *rewrite.Statement
	sql     string
	// exact is sql without the casts of numeric parameters: each value brings its
	// own scale. They serve to describe, and for NULLs.
	exact    string
	timeZone string
	session  Session
	tables   []frame.Shape
	types    [][]frame.Type // by slot, of the columns that DuckDB sees
	params   []datum.Type
	frames   []frame.Type // of the parameters, the time of the transaction included
	used     []int        // the numbers of those of frames that sql names
	columns  []Column     // of the engine
	shown    []Column     // of the statement
	decoders []columnar.Decoder
}

// Prepare checks the statement against its tables and finds its types.
func (e *Engine) Prepare(ctx context.Context, q Query) (Prepared, error) {
	s, err := rewrite.Rewrite(rewrite.Input{Select: q.Select, Resolve: q.Resolve, ParamTypes: q.ParamTypes, Session: q.Session, Inline: q.Inline, Types: q.Types})
	if err != nil {
		return nil, asError(err)
	}
	zone, ok := datum.EngineZone(q.Session.TimeZone)
	if zone == "UTC" || !ok {
		zone = "" // what the worker has
	}
	p := &prepared{engine: e, rewrite: s, timeZone: zone, session: q.Session, params: append([]datum.Type(nil), s.Params...)}
	for _, scan := range s.Scans {
		if err := p.addTable(scan); err != nil {
			return nil, err
		}
	}
	if err := p.describe(ctx); err != nil {
		return nil, err
	}
	if !ok && p.zoned() {
		return nil, &Error{Code: "0A000", Message: fmt.Sprintf("this statement with timestamps with time zone is not supported in the time zone %q", q.Session.TimeZone),
			Hint: "Set a time zone by its name, such as Asia/Kolkata, or an offset of whole hours."}
	}
	return p, nil
}

// zoned reports whether the time zone may matter to the statement; when in doubt it
// does.
func (p *prepared) zoned() bool {
	zoned := func(t frame.Type) bool { return t.Kind == frame.TimestampTZ }
	if slices.ContainsFunc(p.frames, zoned) {
		return true
	}
	for _, types := range p.types {
		if slices.ContainsFunc(types, zoned) {
			return true
		}
	}
	sql := strings.ToLower(p.sql)
	return slices.ContainsFunc([]string{"timestamptz", "with time zone", "to_timestamp", "current_"}, func(s string) bool { return strings.Contains(sql, s) })
}

func (p *prepared) addTable(scan *rewrite.Scan) error {
	shape := frame.Shape{Rows: scan.Table.Rows, InOrder: scan.Table.InOrder}
	var types []frame.Type
	for k, i := range scan.Columns {
		c := scan.Table.Columns[i]
		t, ok := rewrite.FrameType(c.Type, c.Modifier)
		if scan.Text[k] {
			t = frame.Type{Kind: frame.Text}
		}
		if !ok {
			return &Error{Code: "0A000", Message: fmt.Sprintf("column %q has the type %s, which queries do not support", c.Name, c.Type.SQLName())}
		}
		shape.Columns = append(shape.Columns, frame.Field{Name: frame.Spelled(c.Name), Type: t})
		types = append(types, t)
	}
	p.tables = append(p.tables, shape)
	p.types = append(p.types, types)
	return nil
}

// describe finds the types of parameters and columns. What the statement's text and
// the client leave open is asked of DuckDB, and is text if that does not know.
func (p *prepared) describe(ctx context.Context) error {
	d, err := p.ask(ctx)
	if err != nil {
		return err
	}
	open := false
	for i, t := range p.params {
		if t != datum.Unknown {
			continue
		}
		open = true
		if p.params[i] = columnar.TypeOf(d.Params[i]); p.params[i] == datum.Unknown {
			p.params[i] = datum.Text
		}
	}
	if open {
		if d, err = p.ask(ctx); err != nil {
			return err
		}
	}
	if len(d.Columns) == 0 {
		return &Error{Code: "0A000", Message: "the types of the result are not known before the parameters have values",
			Hint: "Cast the parameters, or use them outside of table functions."}
	}
	p.columns, p.decoders = make([]Column, len(d.Columns)), make([]columnar.Decoder, len(d.Columns))
	for i, c := range d.Columns {
		if err := p.describeColumn(i, c); err != nil {
			return err
		}
	}
	p.shown = p.showColumns()
	return nil
}

// names are the casts of the parameters, as rewrite.Statement.SQL takes them.
func (p *prepared) names() []string {
	names := make([]string, len(p.frames))
	for i, t := range p.frames {
		if t.Kind != frame.Unknown {
			names[i] = t.SQL()
		}
	}
	return names
}

// ask has the worker describe the statement with the types that are known.
func (p *prepared) ask(ctx context.Context) (d *frame.Description, err error) {
	p.frames = make([]frame.Type, len(p.params), len(p.params)+1)
	for i, t := range p.params {
		if t == datum.Unknown {
			continue
		}
		f, ok := rewrite.FrameType(t, -1)
		if !ok {
			return nil, &Error{Code: "0A000", Message: fmt.Sprintf("parameter $%d has the type %s, which queries do not support", i+1, t.SQLName())}
		}
		if p.rewrite.ListOfTexts(i + 1) {
			f = frame.Type{Kind: frame.Text, List: true}
		}
		p.frames[i] = f
	}
	if p.rewrite.Now > 0 {
		p.frames = append(p.frames, frame.Type{Kind: frame.TimestampTZ})
	}
	names := p.names()
	if p.sql, p.used, err = p.rewrite.SQL(names); err != nil {
		return nil, asError(err)
	}
	if p.exact = p.sql; slices.Contains(p.params, datum.Numeric) {
		for i, t := range p.params {
			if t == datum.Numeric {
				names[i] = ""
			}
		}
		if p.exact, _, err = p.rewrite.SQL(names); err != nil {
			return nil, asError(err)
		}
	}
	if err := p.engine.enter(ctx); err != nil {
		return nil, err
	}
	defer p.engine.leave()
	s := &frame.Statement{SQL: p.sql, TimeZone: p.timeZone, Tables: p.tables, Params: pick(p.frames, p.used)}
	err = p.engine.run(ctx, s, nil, func(ev event) error {
		d = ev.description
		return nil
	})
	switch {
	case err != nil:
		return nil, asError(err)
	case d == nil || len(d.Params) != len(p.used):
		return nil, &Error{Code: "XX000", Message: "the SQL worker process did not describe the statement"}
	}
	all := slices.Clone(p.frames)
	for i, n := range p.used {
		all[n-1] = d.Params[i]
	}
	d.Params = all
	return d, nil
}

// lostType reports whether nobody has said what column i of the result is, and it may be
// an inet: DuckDB has those as bytes.
func (p *prepared) lostType(i int) bool {
	if len(p.rewrite.Columns) == len(p.columns) && (p.rewrite.Columns[i].Type != datum.Unknown || p.rewrite.Columns[i].Scan != nil) {
		return false
	}
	for _, scan := range p.rewrite.Scans {
		for _, k := range scan.Columns {
			if scan.Table.Columns[k].Type.Elem().IsInet() {
				return true
			}
		}
	}
	return false
}

func (p *prepared) describeColumn(i int, f frame.Field) error {
	c := Column{Name: frame.Unspelled(f.Name), Type: columnar.TypeOf(f.Type), Modifier: -1}
	d := columnar.Decoder{Type: c.Type}
	if len(p.rewrite.Columns) == len(p.columns) {
		origin := p.rewrite.Columns[i]
		c.Name, d.Normal = origin.Name, origin.Written
		if columnar.Convertible(c.Type, origin.Type) || origin.Text {
			c.Type = origin.Type
		}
		if origin.Scan != nil {
			c.Table, c.TableColumn = origin.Scan.Table, origin.Index
			declared := c.Table.Columns[c.TableColumn]
			t, ok := rewrite.FrameType(declared.Type, declared.Modifier)
			switch {
			case origin.Text:
				c.Modifier = declared.Modifier
			case ok && t == f.Type:
				c.Type, c.Modifier = declared.Type, declared.Modifier
				d.Normal = true
			}
		}
		if origin.Scan == nil && c.Type.Elem() == datum.Bpchar {
			c.Modifier = origin.Modifier
		}
	}
	if c.Type.Elem() == datum.Bytea && p.lostType(i) {
		return &Error{Code: "0A000", Message: fmt.Sprintf("column %d of the result may be an inet or a bytea in this statement", i+1), Hint: "Select the column itself, by a join in place of a subquery."}
	}
	if c.Type.Elem() == datum.Bpchar && c.Modifier > 0 {
		d.Width = c.Modifier
	}
	if d.Type != c.Type {
		d.To = c.Type
	}
	if d.Normal {
		d.Type, d.To = c.Type, datum.Unknown
	}
	d.Declared = c.Type.Elem() == datum.Numeric && c.Modifier >= 4
	p.columns[i], p.decoders[i] = c, d
	return nil
}

func (p *prepared) Columns() []Column { return p.shown }

// TableScans are the scans that it may begin, by their slots.
func (p *prepared) TableScans() []*TableScan { return p.rewrite.Scans }

func (p *prepared) ParamTypes() []datum.Type { return p.params }

// Execute runs the statement.
func (p *prepared) Execute(ctx context.Context, x Execution, emit func(row []datum.Datum) error) error {
	if p.rewrite.Fails != nil {
		return asError(p.rewrite.Fails)
	}
	sql, args, err := p.args(x)
	if err != nil {
		return err
	}
	s := &frame.Statement{SQL: sql, TimeZone: p.timeZone, Tables: p.tables, Params: pick(p.frames, p.used), Args: args}
	began := time.Now()
	for tries := 1; ; tries++ {
		emitted, err := p.execute(ctx, x, s, emit)
		if !emitted && p.rewrite.Streams && len(p.params) <= manyParams && isData(err) && time.Since(began) < aheadMost {
			return cmp.Or(p.ahead(ctx, x, s, emit), err)
		}
		// The worker ended, perhaps because of another statement: nobody has seen
		// anything of this one yet, and it only reads.
		var lost *Error
		if errors.As(err, &lost) && lost.retry && !emitted && tries < 2 && ctx.Err() == nil {
			continue
		}
		return err
	}
}

// execute runs the statement once; emitted says that rows went out.
func (p *prepared) execute(ctx context.Context, x Execution, s *frame.Statement, emit func(row []datum.Datum) error) (emitted bool, _ error) {
	turn, err := p.engine.take(ctx)
	if err != nil {
		return false, err
	}
	defer turn.end()
	scans := newScanServer(ctx, x.Source, p.specs(x.Args), p.types)
	scans.turn = turn
	defer scans.cancel()
	row := make([]datum.Datum, len(p.columns))
	err = p.engine.run(ctx, s, scans, func(ev event) error {
		if ev.rows == nil {
			return nil
		}
		emitted = true
		turn.yield()
		if err := p.emit(ev.rows, row, emit); err != nil {
			return err
		}
		return turn.resume(ctx)
	})
	var reported *workerError
	if errors.As(err, &reported) {
		return emitted, fromWorker(reported.Failure)
	}
	return emitted, err
}

func (p *prepared) emit(b *frame.Batch, row []datum.Datum, emit func([]datum.Datum) error) error {
	reg := p.registry()
	if len(b.Columns) != len(row) {
		return &Error{Code: "XX000", Message: "the result has another number of columns than described"}
	}
	for i := range b.Rows() {
		for k := range row {
			var err error
			if row[k], err = p.decoders[k].Datum(&b.Columns[k], i); err != nil {
				return asError(err)
			}
			if reg != nil && p.columns[k].Type.Elem().IsRegistry() {
				showRegistry(reg, &row[k])
			}
		}
		if err := emit(p.shownRow(row)); err != nil {
			return err
		}
	}
	return nil
}

// registry is what shows the numbers of objects in the result; nil: there are none.
func (p *prepared) registry() rewrite.Registry {
	if p.session.Registry == nil || !slices.ContainsFunc(p.columns, func(c Column) bool { return c.Type.Elem().IsRegistry() }) {
		return nil
	}
	return p.session.Registry()
}

// showRegistry gives the number of an object, or an array of them, the names.
func showRegistry(reg rewrite.Registry, d *datum.Datum) {
	switch {
	case d.Null:
	case d.Type.IsArray():
		for i := range d.A.Values {
			showRegistry(reg, &d.A.Values[i])
		}
	default:
		d.S = reg.Shown(d.Type, uint32(d.I))
	}
}

// args encodes the arguments, and chooses the text that they go with.
func (p *prepared) args(x Execution) (sql string, args []byte, err error) {
	if len(x.Args) != len(p.params) {
		return "", nil, &Error{Code: "08P01", Message: fmt.Sprintf("%d parameters given, but the statement needs %d", len(x.Args), len(p.params))}
	}
	values := make([]datum.Datum, len(x.Args))
	types := append([]frame.Type(nil), p.frames...)
	sql = p.exact
	for i, d := range x.Args {
		var ok bool
		if values[i], ok = Coerce(d, p.params[i]); !ok {
			return "", nil, &Error{Code: "42804", Message: fmt.Sprintf("parameter $%d is of type %s but the value is of type %s", i+1, p.params[i].SQLName(), d.Type.SQLName())}
		}
		if err := rewrite.ResolveRegistry(&p.session, &values[i]); err != nil {
			return "", nil, asError(err)
		}
		switch {
		case p.params[i] != datum.Numeric:
		case d.Null:
			sql = p.sql // an untyped NULL would not do everywhere
		default:
			types[i] = decimalFor(values[i].D)
		}
	}
	rest := p.used
	if len(values) > manyParams {
		if sql, rest, err = p.rewrite.SQLWithValues(p.names(), values); err != nil {
			return "", nil, asError(err)
		}
	}
	b := frame.NewBatch(pick(types, rest))
	for i, n := range rest {
		if n > len(values) {
			b.Int(i, x.Now.UnixMicro())
		} else if err := appendDatum(b, i, &values[n-1]); err != nil {
			return "", nil, asError(err)
		}
	}
	b.FinishRow()
	return sql, b.Encode(nil), nil
}

// pick returns those of types whose numbers, from 1, are given.
func pick(types []frame.Type, numbers []int) []frame.Type {
	out := make([]frame.Type, len(numbers))
	for i, n := range numbers {
		out[i] = types[n-1]
	}
	return out
}

// specs gives the scans' constraints the values of the arguments.
func (p *prepared) specs(args []datum.Datum) []ScanSpec {
	specs := make([]ScanSpec, len(p.rewrite.Scans))
	for slot, scan := range p.rewrite.Scans {
		specs[slot] = ScanSpec{Slot: slot, Table: scan.Table, Links: scan.Links, All: specs, visible: scan.Columns}
		for _, c := range scan.Constraints {
			t := scan.Table.Columns[c.Column].Type
			if out, ok := resolve(c, t, args); ok {
				specs[slot].Constraints = append(specs[slot].Constraints, out)
			}
		}
	}
	return specs
}

// resolve puts arguments into a constraint; ok=false drops it.
func resolve(c rewrite.Constraint, t datum.Type, args []datum.Datum) (Constraint, bool) {
	out := Constraint{Column: c.Column, Op: c.Op}
	for _, v := range c.Values {
		d := v.Literal
		if v.Param > 0 {
			if v.Param > len(args) {
				return out, false
			}
			if d = args[v.Param-1]; v.Elems {
				if !appendElements(&out, d, t) {
					return out, false
				}
				continue
			}
			if d.Null {
				if c.Op != OpIn { // never true of NULL
					return Constraint{Column: c.Column, Op: OpIn}, true
				}
				continue
			}
			var ok bool
			if d, ok = Coerce(d, t); !ok {
				return out, false
			}
		}
		out.Values = append(out.Values, d)
	}
	return out, true
}

// appendElements adds the elements of an array to the values of an OpIn.
func appendElements(out *Constraint, d datum.Datum, t datum.Type) bool {
	if d.Null {
		return true
	}
	if !d.Type.IsArray() {
		return false
	}
	for _, e := range d.A.Values {
		if e.Null {
			continue
		}
		v, ok := Coerce(e, t)
		if !ok {
			return false
		}
		out.Values = append(out.Values, v)
	}
	return true
}

// Coerce makes a value one of type t if it is the same value in both.
func Coerce(d datum.Datum, t datum.Type) (datum.Datum, bool) {
	switch {
	case d.Type == t:
		return d, true
	case d.Null:
		return datum.MakeNull(t), true
	case d.Type.IsInt() && (t.IsInt() || t == datum.OID), d.Type == datum.OID && t.IsInt():
		limit := map[datum.Type]int64{datum.Int2: 1<<15 - 1, datum.Int4: 1<<31 - 1}[t]
		if limit > 0 && (d.I > limit || d.I < -limit-1) {
			return d, false
		}
	case d.Type.IsString() && t.IsString(), d.Type == datum.JSON && t == datum.JSONB:
	case d.Type.IsInt() && t == datum.Numeric:
		n, err := datum.ParseText(datum.Numeric, d.Text(), nil)
		return n, err == nil
	case d.Type == datum.Unknown:
		n, err := datum.ParseText(t, d.S, nil)
		return n, err == nil
	default:
		return d, false
	}
	d.Type = t
	return d, true
}

// asError makes the worker's and the rewriter's errors *Error; others stay.
func asError(err error) error {
	var reported *workerError
	var refused *rewrite.Error
	var bad *datum.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &reported):
		return fromWorker(reported.Failure)
	case errors.As(err, &refused):
		return &Error{Code: refused.Code, Message: refused.Message, Hint: refused.Hint, Position: refused.Position}
	case errors.As(err, &bad):
		return &Error{Code: bad.Code, Message: bad.Message, Detail: bad.Detail}
	}
	return err
}
