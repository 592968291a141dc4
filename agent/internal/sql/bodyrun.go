package sql

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// run carries statements out, until one of them leads elsewhere.
func (f *frame) run(ctx context.Context, list []syntax.BodyStatement) (flow, error) {
	for _, st := range list {
		out, err := f.statement(ctx, st)
		if err != nil || out.kind != flowOn {
			return out, err
		}
	}
	return flow{}, nil
}

// at notes what is being carried out, for errors.
func (f *frame) mark(position int, step string) {
	f.line, f.step = 1+strings.Count(f.body.text[:min(max(position-1, 0), len(f.body.text))], "\n"), step
}

// explain says in an error where it was. What is told of inner blocks stays.
func (f *frame) explain(err error, position int, step string) error {
	var told *placedError
	if errors.As(err, &told) {
		return err
	}
	f.mark(position, step)
	e := *AsError(err)
	if e.cause == nil {
		e.cause = err
	}
	line := fmt.Sprintf("%s line %d at %s", f.body.name, f.line, f.step)
	if e.Context != "" {
		line = e.Context + "\n" + line
	}
	e.Context, e.Position = line, 0
	return &placedError{told: &e}
}

// placedError is one that says where in a body it was.
type placedError struct{ told *Error }

func (e *placedError) Error() string { return e.told.Error() }
func (e *placedError) Unwrap() error { return e.told }

// placed is what who called a body is told.
func placed(err error) error {
	var told *placedError
	if errors.As(err, &told) {
		return told.told
	}
	return err
}

// statement carries one statement out.
func (f *frame) statement(ctx context.Context, st syntax.BodyStatement) (flow, error) {
	if ctx.Err() != nil {
		return flow{}, ctx.Err()
	}
	switch st := st.(type) {
	case *syntax.BodyBlock:
		return f.block(ctx, st)
	case *syntax.BodyIf:
		for i := range st.Arms {
			if yes, err := f.condition(ctx, &st.Arms[i].Condition); err != nil {
				return flow{}, f.explain(err, st.Position, "IF")
			} else if yes {
				return f.run(ctx, st.Arms[i].Statements)
			}
		}
		return f.run(ctx, st.Else)
	case *syntax.BodyCase:
		list, err := f.cases(ctx, st)
		if err != nil {
			return flow{}, f.explain(err, st.Position, "CASE")
		}
		return f.run(ctx, list)
	case *syntax.BodyLoop:
		return f.loop(ctx, st)
	case *syntax.BodyExit:
		yes, err := true, error(nil)
		if st.When != nil {
			yes, err = f.condition(ctx, st.When)
		}
		kind, word := flowExit, "EXIT"
		if st.Continue {
			kind, word = flowContinue, "CONTINUE"
		}
		if err != nil {
			return flow{}, f.explain(err, st.Position, word)
		}
		if !yes {
			kind = flowOn
		}
		return flow{kind, st.Label}, nil
	case *syntax.BodyReturn:
		out, err := f.returns(ctx, st)
		if err != nil {
			err = f.explain(err, st.Position, "RETURN")
		}
		return out, err
	}
	position, step, err := f.plain(ctx, st)
	if err != nil {
		err = f.explain(err, position, step)
	}
	return flow{}, err
}

// plain carries a statement out that leads nowhere.
func (f *frame) plain(ctx context.Context, st syntax.BodyStatement) (position int, step string, err error) {
	switch st := st.(type) {
	case *syntax.BodyQuery:
		if step = "SQL statement"; st.Perform {
			step = "PERFORM"
		}
		return st.Position, step, f.query(ctx, st)
	case *syntax.BodyCommand:
		return st.Position, "SQL statement", f.command(ctx, st.SQL)
	case *syntax.BodyExecute:
		return st.Position, "EXECUTE", f.execute(ctx, st)
	case *syntax.BodyAssign:
		return st.Position, "assignment", f.assignment(ctx, st)
	case *syntax.BodyRaise:
		return st.Position, "RAISE", f.raise(ctx, st)
	case *syntax.BodyDiagnostics:
		return st.Position, "GET DIAGNOSTICS", f.diagnose(ctx, st)
	case *syntax.BodyAssert:
		return st.Position, "ASSERT", f.assert(ctx, st)
	case *syntax.BodyNull:
		return 0, "", nil
	}
	return 0, "", fmt.Errorf("a body with a statement of type %T", st)
}

// assignment carries an assignment out.
func (f *frame) assignment(ctx context.Context, st *syntax.BodyAssign) error {
	if to, i, err := f.target(&st.Target); err != nil {
		return err
	} else if to.record && i < 0 && st.Target.Index == nil {
		return f.setRow(ctx, to, &st.Value)
	}
	v, err := f.evaluate(ctx, &st.Value)
	if err == nil {
		err = f.assign(ctx, &st.Target, v)
	}
	return err
}

// block carries a block out. One with handlers begins at a savepoint.
func (f *frame) block(ctx context.Context, st *syntax.BodyBlock) (flow, error) {
	leave := f.enter(st.Label)
	defer leave()
	for i := range st.Declare {
		if err := f.declared(ctx, &st.Declare[i]); err != nil {
			e := f.explain(err, st.Declare[i].Position, "during statement block local variable initialization")
			return flow{}, e
		}
	}
	own := func(out flow) flow {
		if out.kind == flowExit && st.Label != "" && out.label == st.Label {
			return flow{}
		}
		return out
	}
	if len(st.Handlers) == 0 {
		out, err := f.run(ctx, st.Statements)
		return own(out), err
	}
	s := f.session
	inner := f.names
	point := s.mark("")
	out, err := f.run(ctx, st.Statements)
	if err == nil || !caught(ctx, err) {
		return own(out), err
	}
	e := AsError(err)
	for _, h := range st.Handlers {
		if !handles(h.Conditions, e.Code) {
			continue
		}
		s.backTo(ctx, &point)
		f.names = inner
		was := f.handling
		f.handling = e
		defer func() { f.handling = was }()
		closed := f.enter("")
		defer closed()
		f.declare(&variable{name: "sqlstate", typ: datum.Text, modifier: -1, value: datum.MakeText(e.Code)})
		f.declare(&variable{name: "sqlerrm", typ: datum.Text, modifier: -1, value: datum.MakeText(e.Message)})
		out, err := f.run(ctx, h.Statements)
		return own(out), err
	}
	return flow{}, err
}

// handles reports whether one of the conditions is that of an error.
func handles(list []string, code string) bool {
	for _, c := range list {
		if c == "others" {
			if code != "57014" && code != "P0004" {
				return true
			}
			continue
		}
		codes := syntax.ConditionCodes(c)
		if codes == nil {
			codes = []string{c}
		}
		for _, want := range codes {
			if want == code || strings.HasSuffix(want, "000") && want[:2] == code[:2] {
				return true
			}
		}
	}
	return false
}

// cases chooses the statements of a CASE.
func (f *frame) cases(ctx context.Context, st *syntax.BodyCase) ([]syntax.BodyStatement, error) {
	var operand *variable
	if st.Operand != nil {
		v, err := f.evaluate(ctx, st.Operand)
		if err != nil {
			return nil, err
		}
		leave := f.enter("")
		defer leave()
		operand = f.declare(&variable{name: "case operand", typ: v.Type, modifier: -1, value: v})
	}
	for _, arm := range st.Arms {
		for _, e := range arm.Values {
			if operand != nil {
				e.SQL = `"case operand" = (` + e.SQL + ")"
			}
			if yes, err := f.condition(ctx, &e); err != nil {
				return nil, err
			} else if yes {
				return arm.Statements, nil
			}
		}
	}
	if !st.HasElse {
		return nil, &Error{Code: "20000", Message: "case not found", Hint: "CASE statement is missing ELSE part."}
	}
	return st.Else, nil
}

// turn carries the statements of a loop out once; over says that the loop has ended.
func (f *frame) turn(ctx context.Context, st *syntax.BodyLoop) (out flow, over bool, err error) {
	if ctx.Err() != nil {
		return flow{}, true, ctx.Err()
	}
	out, err = f.run(ctx, st.Statements)
	mine := out.label == "" || out.label == st.Label
	switch {
	case err != nil:
		return out, true, err
	case out.kind == flowExit && mine:
		return flow{}, true, nil
	case out.kind == flowContinue && mine, out.kind == flowOn:
		return flow{}, false, nil
	}
	return out, true, nil
}

// loop carries a loop out.
func (f *frame) loop(ctx context.Context, st *syntax.BodyLoop) (flow, error) {
	leave := f.enter(st.Label)
	defer leave()
	switch {
	case st.From != nil:
		return f.count(ctx, st)
	case st.Query != nil, st.Execute != nil, st.Array != nil:
		return f.each(ctx, st)
	}
	for {
		if st.While != nil {
			if yes, err := f.condition(ctx, st.While); err != nil {
				return flow{}, f.explain(err, st.Position, "WHILE")
			} else if !yes {
				return flow{}, nil
			}
		}
		if out, over, err := f.turn(ctx, st); over {
			return out, err
		}
	}
}

// count carries FOR i IN from .. to out.
func (f *frame) count(ctx context.Context, st *syntax.BodyLoop) (flow, error) {
	const step = "FOR with integer loop variable"
	bounds := []int64{0, 0, 1}
	for i, e := range []*syntax.Expr{st.From, st.To, st.By} {
		if e == nil {
			continue
		}
		v, err := f.evaluate(ctx, e)
		if err == nil {
			v, err = f.convert(ctx, v, datum.Int4, -1)
		}
		if err == nil && v.Null {
			err = &Error{Code: "22004", Message: []string{"lower bound", "upper bound", "BY value"}[i] + " of FOR loop cannot be null"}
		}
		if err != nil {
			return flow{}, f.explain(err, st.Position, step)
		}
		bounds[i] = v.I
	}
	if bounds[2] <= 0 {
		return flow{}, f.explain(&Error{Code: "22023", Message: "BY value of FOR loop must be greater than zero"}, st.Position, step)
	}
	v := f.declare(&variable{name: st.Targets[0].Name, typ: datum.Int4, modifier: -1})
	found := false
	for i := bounds[0]; ; {
		if !st.Reverse && i > bounds[1] || st.Reverse && i < bounds[1] {
			break
		}
		found, v.value = true, datum.MakeInt(datum.Int4, i)
		if out, over, err := f.turn(ctx, st); over {
			f.found.value = datum.MakeBool(found)
			return out, err
		}
		if i += bounds[2]; st.Reverse {
			i -= 2 * bounds[2]
		}
	}
	f.found.value = datum.MakeBool(found)
	return flow{}, nil
}

// each carries a loop over rows or elements out.
func (f *frame) each(ctx context.Context, st *syntax.BodyLoop) (flow, error) {
	rows, release := f.session.hold()
	defer release()
	columns, step, err := f.loopRows(ctx, st, rows)
	if err != nil {
		return flow{}, f.explain(err, st.Position, step)
	}
	for _, row := range rows.rows {
		if err := f.take(ctx, st.Targets, columns, row); err != nil {
			return flow{}, f.explain(err, st.Position, step)
		}
		if out, over, err := f.turn(ctx, st); over {
			f.found.value = datum.MakeBool(true)
			return out, err
		}
	}
	f.found.value = datum.MakeBool(len(rows.rows) > 0)
	return flow{}, nil
}

// loopRows finds what a loop goes over.
func (f *frame) loopRows(ctx context.Context, st *syntax.BodyLoop, rows *held) ([]queryplan.Column, string, error) {
	switch {
	case st.Array != nil:
		v, err := f.evaluate(ctx, st.Array)
		if err == nil && v.Null {
			err = &Error{Code: "22004", Message: "FOREACH expression must not be null"}
		}
		if err == nil && !v.Type.IsArray() {
			err = &Error{Code: "42804", Message: fmt.Sprintf("FOREACH expression must yield an array, not type %s", v.Type.SQLName())}
		}
		if err != nil {
			return nil, "FOREACH over array", err
		}
		for _, e := range v.A.Values {
			rows.rows = append(rows.rows, []datum.Datum{e})
		}
		return []queryplan.Column{{Name: "element", Type: v.Type.Elem()}}, "FOREACH over array", nil
	case st.Execute != nil:
		columns, err := f.dynamic(ctx, st.Execute, rows)
		return columns, "FOR over EXECUTE statement", err
	}
	b, err := f.bind(ctx, st.Query.SQL, st.Query.Position)
	if err == nil {
		_, err = b.run(ctx, f.session, f.at, f.value, rows)
	}
	if err != nil {
		return nil, "FOR over SELECT rows", f.inStatement(err, st.Query.SQL)
	}
	return b.prepared.plan.Columns, "FOR over SELECT rows", nil
}

func (f *frame) inStatement(err error, text string) error {
	return inContext(err, fmt.Sprintf("SQL statement %q", strings.TrimSpace(text)))
}

// counted is how many rows a command tag tells of.
func counted(tag string) int64 {
	n, _ := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
	return n
}

// query carries a statement of SQL out.
func (f *frame) query(ctx context.Context, st *syntax.BodyQuery) error {
	b, err := f.bind(ctx, st.SQL, st.Position)
	if err != nil {
		return f.inStatement(err, st.SQL)
	}
	perform := st.Perform || f.fired != nil && f.fired.trigger.function == nil // SELECT in a body of a trigger's own
	if st.Query.Call {
		return f.call(ctx, st, b)
	}
	if b.prepared.Columns != nil && st.Into == nil && !perform && st.Query.Select != nil {
		return &Error{Code: "42601", Message: "query has no destination for result data", Hint: "If you want to discard the results of a SELECT, use PERFORM instead."}
	}
	if b.prepared.Columns != nil && st.Into == nil && !perform {
		return &Error{Code: "42601", Message: "query has no destination for result data"}
	}
	rows, release := f.session.hold()
	defer release()
	sink := RowSink(nobody{})
	if st.Into != nil {
		sink = rows
	}
	tag, err := b.run(ctx, f.session, f.at, f.value, sink)
	if err != nil {
		return f.inStatement(err, st.SQL)
	}
	return f.ended(ctx, counted(tag), st.Into, b.prepared.plan.Columns, rows.rows, st.Query.Select == nil)
}

// call carries CALL out, and assigns what it gives back to the variables that it was given.
func (f *frame) call(ctx context.Context, st *syntax.BodyQuery, b *bound) error {
	var targets []syntax.BodyTarget
	args := st.Query.CallArgs()
	for i, from := range b.prepared.plan.Call.From {
		target := syntax.BodyTarget{}
		if from >= 0 {
			target = args[from]
		}
		if target.Name == "" {
			return &Error{Code: "42601", Message: fmt.Sprintf("procedure parameter %q is an output parameter but corresponding argument is not writable", b.prepared.plan.Columns[i].Name)}
		}
		targets = append(targets, target)
	}
	var rows held
	if _, err := b.run(ctx, f.session, f.at, f.value, &rows); err != nil {
		return f.inStatement(err, st.SQL)
	}
	if len(rows.rows) == 0 || len(targets) == 0 {
		return nil
	}
	return f.take(ctx, targets, b.prepared.plan.Columns, rows.rows[0])
}

// ended notes what a statement came to, and assigns what INTO says.
func (f *frame) ended(ctx context.Context, n int64, into *syntax.BodyInto, columns []queryplan.Column, rows [][]datum.Datum, changes bool) error {
	f.rows = n
	f.found.value = datum.MakeBool(n > 0)
	if into == nil {
		return nil
	}
	if columns == nil {
		return &Error{Code: "42601", Message: "INTO used with a command that cannot return data"}
	}
	switch {
	case len(rows) == 0 && into.Strict:
		return &Error{Code: "P0002", Message: "query returned no rows"}
	case len(rows) > 1 && (into.Strict || changes):
		return &Error{Code: "P0003", Message: "query returned more than one row", Hint: "Make sure the query returns a single row, or use LIMIT 1."}
	}
	if len(rows) == 0 {
		return f.take(ctx, into.Targets, columns, nil)
	}
	f.rows = min(f.rows, 1)
	return f.take(ctx, into.Targets, columns, rows[0])
}

// command carries a statement out that is no query.
func (f *frame) command(ctx context.Context, text string) error {
	stmt, err := syntax.Parse(text)
	if err != nil {
		return err
	}
	s := f.session
	switch {
	case controls(stmt.Node):
		return &Error{Code: "0A000", Message: "unsupported transaction command in PL/pgSQL"}
	case standsAlone(stmt.Node):
		return &Error{Code: "25001", Message: "this statement cannot be executed from a function", Hint: "Run it on its own."}
	}
	if err := carriedOut(stmt.Node); err != nil {
		return err
	}
	was := s.running
	defer func() { s.running = was }()
	tag, err := s.execute(ctx, &Prepared{statement: stmt}, nil, nobody{}, f.at)
	if err != nil {
		return f.inStatement(err, text)
	}
	f.rows = counted(tag)
	return nil
}

// execute carries EXECUTE out.
func (f *frame) execute(ctx context.Context, st *syntax.BodyExecute) error {
	rows, release := f.session.hold()
	defer release()
	columns, err := f.dynamic(ctx, st, rows)
	if err != nil || st.Into == nil {
		return err
	}
	found := f.found.value
	err = f.ended(ctx, f.rows, st.Into, columns, rows.rows, false)
	f.found.value = found // EXECUTE does not change it
	return err
}

// dynamic carries the statement of an EXECUTE out.
func (f *frame) dynamic(ctx context.Context, st *syntax.BodyExecute, rows *held) ([]queryplan.Column, error) {
	v, err := f.evaluate(ctx, &st.SQL)
	if err != nil {
		return nil, err
	}
	if v.Null {
		return nil, &Error{Code: "22004", Message: "query string argument of EXECUTE is null"}
	}
	p := &Prepared{}
	var args []datum.Datum
	for i := range st.Using {
		arg, err := f.evaluate(ctx, &st.Using[i])
		if err != nil {
			return nil, err
		}
		p.announced, args = append(p.announced, arg.Type), append(args, arg)
	}
	texts := syntax.Split(v.Text())
	for i, text := range texts {
		stmt, wrong := syntax.Parse(text)
		if wrong != nil {
			return nil, wrong
		}
		q, ok := stmt.Node.(*syntax.Query)
		if !ok {
			if err := f.command(ctx, text); err != nil {
				return nil, err
			}
			continue
		}
		p.statement = stmt
		if err := f.session.prepareQuery(ctx, p, q); err != nil {
			return nil, f.inStatement(err, text)
		}
		sink := RowSink(nobody{})
		if i == len(texts)-1 {
			sink = rows
		}
		tag, err := f.session.runQuery(ctx, p, q, args[:min(len(args), len(p.ParamOIDs))], sink, f.at)
		if err != nil {
			return nil, f.inStatement(err, text)
		}
		f.rows = counted(tag)
		if i == len(texts)-1 {
			return p.plan.Columns, nil
		}
	}
	return nil, nil
}
