package queryplan

import (
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Expr computes a value from a row and the parameters.
type Expr interface {
	// Type is the type of the value. That of a parameter is known when the whole
	// statement was compiled.
	Type() datum.Type
	Eval(env *Env) (datum.Datum, error)
}

// Env is what expressions are computed from.
type Env struct {
	Row  []datum.Datum
	Args []datum.Datum
	// Updated says that Row is one that INSERT has found, and ON CONFLICT updated.
	Updated bool
	// Now is when the transaction began, Statement when the statement did.
	Now, Statement time.Time
	Session        *Session
	// held is the operand of the CASE whose conditions are computed.
	held datum.Datum
	// lists are those of IN and ANY that have been put in order.
	lists map[Expr]*orderedList
}

// Copy is an Env for another who computes, perhaps at the same time.
func (env *Env) Copy() Env {
	out := *env
	out.lists = nil
	return out
}

// Session is what functions such as current_user answer.
type Session struct {
	User        string // the current role
	SessionUser string
	Database    string
	Schema      func() string // current_schema(); empty: there is none
	Location    *time.Location
	DateOrder   datum.DateOrder
	PID         uint32
	Version     string // what version() says
	// TriggerDepth is how many triggers are being carried out, each by the one before.
	TriggerDepth int
	// ClosedLag is how long before now the time is that followers can serve, while they
	// are read: follower_read_timestamp().
	ClosedLag time.Duration
	// Privilege is has_table_privilege and its like.
	Privilege func(PrivilegeCall) (datum.Datum, error)
	// Setting and Set are current_setting and set_config; a nil value is the default.
	Setting func(name string) (string, bool)
	Set     func(name string, value *string, local bool) (string, error)
	// Notify has those who listen on a channel told of a payload.
	Notify func(channel, payload string) error
	// Advisory carries out pg_advisory_lock and its like.
	Advisory func(a Advisory) (done bool, err error)
	// Sequence carries out nextval and its like; SerialSequence is pg_get_serial_sequence,
	// "" if there is none.
	Sequence       func(c SequenceCall) (int64, error)
	SerialSequence func(table, column string) (string, error)
	// Signal carries out pg_cancel_backend and pg_terminate_backend.
	Signal func(s Signal) (done bool, err error)
	// Call carries a function out that somebody has made.
	Call func(r *Routine, args []datum.Datum) (datum.Datum, error)
}

// Const is a value known when the statement was compiled.
type Const struct {
	Value    datum.Datum
	position int // of a literal, for errors
	// late says that PostgreSQL computes it when rows are there, though of constants: it decides
	// nothing before.
	late bool
}

// Type returns the type of the value.
func (e *Const) Type() datum.Type { return e.Value.Type }

// Eval returns the value.
func (e *Const) Eval(*Env) (datum.Datum, error) { return e.Value, nil }

// Param is $Index+1.
type Param struct {
	Index  int
	params *Params
}

// Type returns the type that was announced or inferred.
func (e *Param) Type() datum.Type { return e.params.Types[e.Index] }

// Eval returns the argument.
func (e *Param) Eval(env *Env) (datum.Datum, error) { return env.Args[e.Index], nil }

// Params are the types of a statement's parameters; datum.Unknown until inferred.
type Params struct{ Types []datum.Type }

// ColumnRef is a column of the row.
type ColumnRef struct {
	Index    int
	typ      datum.Type
	modifier int32
	name     string
	notNull  bool
}

// Type returns the column's type.
func (e *ColumnRef) Type() datum.Type { return e.typ }

// Eval returns the column's value.
func (e *ColumnRef) Eval(env *Env) (datum.Datum, error) { return env.Row[e.Index], nil }

// fn is an expression over its arguments.
type fn struct {
	// name is how it was written, with its constants: two of one name, of one type and over
	// the same arguments are the same. "": it is like no other.
	name   string
	typ    datum.Type
	args   []Expr
	strict bool // null if any argument is null
	// widening says that the one argument has the same key encoding as the result.
	widening bool
	volatile bool // gives another value each time
	// stable says that the value depends on settings of the session, though there are
	// arguments.
	stable bool
	// late says that PostgreSQL computes it when rows are there, of constants too.
	late bool
	// routine is the function of a user that the session carries out; nil: none.
	routine *Routine
	// moment says that the value is when the transaction or the statement began.
	moment bool
	eval   func(env *Env, args []datum.Datum) (datum.Datum, error)
}

func (e *fn) Type() datum.Type { return e.typ }

func (e *fn) Eval(env *Env) (datum.Datum, error) {
	var buf [4]datum.Datum
	args, null := buf[:0], false
	for _, a := range e.args { // a null among them leaves out none, which may fail
		v, err := a.Eval(env)
		if err != nil {
			return datum.Datum{}, err
		}
		null = null || v.Null
		args = append(args, v)
	}
	if null && e.strict {
		return datum.MakeNull(e.typ), nil
	}
	return e.eval(env, args)
}

// andExpr is AND, or OR if or is set, of three-valued logic.
type andExpr struct {
	args []Expr
	or   bool
}

func (e *andExpr) Type() datum.Type { return datum.Bool }

func (e *andExpr) Eval(env *Env) (datum.Datum, error) {
	null := false
	for _, a := range e.args {
		v, err := a.Eval(env)
		if err != nil {
			return v, err
		}
		if !v.Null && v.Bool() == e.or {
			return v, nil
		}
		null = null || v.Null
	}
	if null {
		return datum.MakeNull(datum.Bool), nil
	}
	return datum.MakeBool(!e.or), nil
}

// coalesceExpr is COALESCE: the first that is not null.
type coalesceExpr struct{ args []Expr }

func (e *coalesceExpr) Type() datum.Type { return e.args[0].Type() }

func (e *coalesceExpr) Eval(env *Env) (datum.Datum, error) {
	for _, a := range e.args {
		v, err := a.Eval(env)
		if err != nil || !v.Null {
			return v, err
		}
	}
	return datum.MakeNull(e.Type()), nil
}

// caseExpr is CASE WHEN ... THEN ... ELSE ... END.
type caseExpr struct {
	typ datum.Type
	// operand is what the conditions compare, which know it as what is held; nil: there is none.
	operand    Expr
	conditions []Expr
	results    []Expr // one more than conditions: the last is ELSE
}

func (e *caseExpr) Type() datum.Type { return e.typ }

func (e *caseExpr) Eval(env *Env) (datum.Datum, error) {
	of := env
	if e.operand != nil {
		v, err := e.operand.Eval(env)
		if err != nil {
			return v, err
		}
		holds := *env
		holds.held, of = v, &holds
	}
	for i, c := range e.conditions {
		v, err := c.Eval(of)
		if err != nil {
			return v, err
		}
		if v.Bool() {
			return e.results[i].Eval(env)
		}
	}
	return e.results[len(e.conditions)].Eval(env)
}

// heldExpr is the operand of the CASE around it.
type heldExpr struct{ of Expr }

func (e *heldExpr) Type() datum.Type { return e.of.Type() }

func (e *heldExpr) Eval(env *Env) (datum.Datum, error) { return env.held, nil }

// children returns the expressions that e is made of.
func children(e Expr) []Expr {
	switch e := e.(type) {
	case *fn:
		return e.args
	case *andExpr:
		return e.args
	case *guardExpr:
		return []Expr{e.policy, e.condition}
	case *coalesceExpr:
		return e.args
	case *caseExpr:
		out := append(append([]Expr(nil), e.conditions...), e.results...)
		if e.operand != nil {
			out = append(out, e.operand)
		}
		return out
	case *heldExpr:
		return []Expr{e.of}
	case *inExpr:
		out := append([]Expr{e.value}, e.list...)
		if e.array != nil {
			out = append(out, e.array)
		}
		return out
	case *compareExpr:
		return []Expr{e.left, e.right}
	case *rowCompare:
		return slices.Concat(e.left, e.right)
	case *tupleExpr:
		return slices.Concat(e.row, slices.Concat(e.list...))
	default:
		return nil
	}
}

// rowFree reports whether e has one value during a statement: it names no
// column and calls nothing volatile.
func rowFree(e Expr) bool {
	switch e := e.(type) {
	case *ColumnRef:
		return false
	case *fn:
		if e.volatile {
			return false
		}
	}
	for _, c := range children(e) {
		if !rowFree(c) {
			return false
		}
	}
	return true
}

// volatile reports whether e may give another value each time that it is computed.
func volatile(e Expr) bool {
	if f, ok := e.(*fn); ok && f.volatile {
		return true
	}
	return slices.ContainsFunc(children(e), volatile)
}

// markColumns sets wanted for the columns that e names.
func markColumns(e Expr, wanted []bool) {
	if c, ok := e.(*ColumnRef); ok {
		if c.Index < len(wanted) {
			wanted[c.Index] = true
		}
		return
	}
	for _, c := range children(e) {
		markColumns(c, wanted)
	}
}

// isConst reports whether e is a constant.
func isConst(e Expr) bool {
	_, ok := e.(*Const)
	return ok
}

// knownAhead is the value of a constant that PostgreSQL knows when it plans the statement.
func knownAhead(e Expr) (datum.Datum, bool) {
	k, ok := e.(*Const)
	if !ok || k.late {
		return datum.Datum{}, false
	}
	return k.Value, true
}

// computedLate reports whether PostgreSQL computes a function of constants when rows are there. A
// literal is read when the statement is, and what null makes null is not computed at all.
func computedLate(e *fn) bool {
	if len(e.args) == 1 && e.args[0].Type() == datum.Unknown || e.strict && slices.ContainsFunc(e.args, nullConst) {
		return false
	}
	return e.late || e.stable || slices.ContainsFunc(e.args, late)
}

// failing is what constants cannot make: PostgreSQL says so when the statement runs, not when
// it is parsed.
type failing struct {
	typ datum.Type
	err error
}

func (e *failing) Type() datum.Type { return e.typ }

func (e *failing) Eval(*Env) (datum.Datum, error) { return datum.Datum{}, e.err }

// fold computes e now if all its arguments are constants. Only immutable
// functions are folded.
func fold(e *fn) (Expr, error) {
	if e.volatile {
		return e, nil
	}
	known := true
	for _, a := range e.args {
		if f, ok := a.(*failing); ok {
			return &failing{typ: e.typ, err: f.err}, nil
		}
		known = known && isConst(a)
	}
	if !known {
		return e, nil
	}
	v, err := e.Eval(&Env{})
	switch {
	case err == nil:
		return &Const{Value: v, late: computedLate(e)}, nil
	case isSlow(err) || isRefused(err) || len(e.args) == 1 && e.args[0].Type() == datum.Unknown: // a literal is read when it is parsed
		return nil, err
	case e.stable || e.late || computedLate(e):
		return e, nil
	}
	return &failing{typ: e.typ, err: err}, nil
}
