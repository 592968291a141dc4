package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// compiledTrigger is a trigger whose statements are planned.
type compiledTrigger struct {
	desc  *cluster.TableTrigger
	table *catalog.Table
	when  *bound // nil: it always fires
	body  []step
	reads bool // it may see or change rows
	sets  bool // it sets columns of NEW
	keys  bool // those of the primary key
}

// step is a statement of a body. One of query, arms, value, raise and back is set.
type step struct {
	line      int
	query     *bound
	arms      []arm
	otherwise []step
	column    int // of NEW, that value is for
	value     *bound
	raise     *syntax.BodyRaise
	args      []*bound
	code      *bound // of raise; nil: the level's
	back      *syntax.BodyReturn
}

type arm struct {
	condition *bound
	steps     []step
}

// what names the step in the context of errors.
func (s *step) what() string {
	switch {
	case s.query != nil:
		return "SQL statement"
	case s.arms != nil:
		return "IF"
	case s.value != nil:
		return "assignment"
	case s.raise != nil:
		return "RAISE"
	default:
		return "RETURN"
	}
}

// firedFrame is one call of a trigger. Its rows are not changed: next is replaced.
type firedFrame struct {
	session   *Session
	at        time.Time
	trigger   *compiledTrigger
	event     string
	was, next []datum.Datum
	own       bool // next is a copy
}

// wants reports whether WHEN is true.
func (c *compiledTrigger) wants(ctx context.Context, f *firedFrame) (bool, error) {
	if c.when == nil {
		return true, nil
	}
	v, err := c.when.value(ctx, f)
	if err != nil {
		return false, c.explain(err, "WHEN")
	}
	return !v.Null && v.Bool(), nil
}

// fire carries the body out and returns what it returns: "NEW", "OLD", "NULL", or "" if it
// does not say.
func (c *compiledTrigger) fire(ctx context.Context, f *firedFrame) (string, error) {
	s := f.session
	if s.depth >= maxTriggerDepth {
		return "", c.explain(&Error{Code: "54001", Message: "stack depth limit exceeded", Hint: fmt.Sprintf("Triggers may fire each other up to %d deep.", maxTriggerDepth)}, "")
	}
	s.depth++
	defer func() { s.depth-- }()
	value, _, err := f.steps(ctx, c.body)
	return value, err
}

// steps carries out a list of statements; done says that one of them was RETURN.
func (f *firedFrame) steps(ctx context.Context, list []step) (value string, done bool, err error) {
	for i := range list {
		st := &list[i]
		switch {
		case st.back != nil:
			return st.back.Value, true, nil
		case st.arms != nil:
			chosen, err := f.choose(ctx, st)
			if err != nil {
				return "", false, f.trigger.explainStep(err, st)
			}
			if value, done, err = f.steps(ctx, chosen); done || err != nil {
				return value, done, err
			}
		default:
			if err := f.step(ctx, st); err != nil {
				return "", false, f.trigger.explainStep(err, st)
			}
		}
	}
	return "", false, nil
}

// choose finds the arm of an IF that is carried out.
func (f *firedFrame) choose(ctx context.Context, st *step) ([]step, error) {
	for _, a := range st.arms {
		v, err := a.condition.value(ctx, f)
		if err != nil {
			return nil, err
		}
		if !v.Null && v.Bool() {
			return a.steps, nil
		}
	}
	return st.otherwise, nil
}

func (f *firedFrame) step(ctx context.Context, st *step) error {
	switch {
	case st.query != nil:
		return st.query.run(ctx, f, nobody{})
	case st.raise != nil:
		return f.raise(ctx, st)
	}
	v, err := st.value.value(ctx, f)
	if err != nil || f.next == nil {
		return err
	}
	column := &f.trigger.table.Columns[st.column]
	env := &queryplan.Env{Now: f.session.began, Statement: f.at, Session: f.session.environment(ctx)}
	if v, err = queryplan.Assign(env, v, column.Type, column.Modifier); err != nil {
		return err
	}
	if !f.own {
		f.next, f.own = append([]datum.Datum(nil), f.next...), true
	}
	f.next[st.column] = v
	return nil
}

// raise runs RAISE.
func (f *firedFrame) raise(ctx context.Context, st *step) error {
	var out strings.Builder
	args := st.args
	for text := st.raise.Message; text != ""; {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			out.WriteString(text)
			break
		}
		out.WriteString(text[:i])
		if strings.HasPrefix(text[i:], "%%") {
			out.WriteByte('%')
			text = text[i+2:]
			continue
		}
		v, err := args[0].value(ctx, f)
		if err != nil {
			return err
		}
		if v.Null {
			out.WriteString("<NULL>")
		} else {
			out.WriteString(v.Text())
		}
		args, text = args[1:], text[i+1:]
	}
	e := &Error{Message: out.String()}
	if st.code != nil {
		v, err := st.code.value(ctx, f)
		if err != nil {
			return err
		}
		if e.Code = v.Text(); len(syntax.ConditionCodes(e.Code)) > 0 {
			e.Code = syntax.ConditionCodes(e.Code)[0]
		}
	}
	switch st.raise.Level {
	case "EXCEPTION":
		if e.Code == "" {
			e.Code = "P0001"
		}
		return e
	case "WARNING":
		if e.Code == "" {
			e.Code = "01000"
		}
	default:
		if e.Code == "" {
			e.Code = "00000"
		}
	}
	e.Severity, e.Context = st.raise.Level, f.trigger.place(st)
	f.session.tell(e)
	return nil
}

// place says where in the body a step is.
func (c *compiledTrigger) place(st *step) string {
	return fmt.Sprintf("trigger %s on table %s line %d at %s", c.desc.Name, c.table.Name(), st.line, st.what())
}

func (c *compiledTrigger) explainStep(err error, st *step) error {
	if st.query != nil {
		err = inContext(err, fmt.Sprintf("SQL statement %q", st.query.text))
	}
	return inContext(err, c.place(st))
}

// explain names the trigger, and the part of it, in an error.
func (c *compiledTrigger) explain(err error, part string) error {
	place := fmt.Sprintf("trigger %s on table %s", c.desc.Name, c.table.Name())
	if part != "" {
		place += " at " + part
	}
	return inContext(err, place)
}

// inContext adds a line to the context of an error. Its position is that in another text.
func inContext(err error, line string) error {
	e := *AsError(err)
	if e.cause == nil {
		e.cause = err
	}
	if e.Context != "" {
		line = e.Context + "\n" + line
	}
	e.Context, e.Position = line, 0
	return &e
}
