package queryplan

import (
	"math"
	"strconv"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Signal is what a call of pg_cancel_backend or pg_terminate_backend asks for.
type Signal struct {
	PID       int64
	Terminate bool          // the session, not only its statement
	Wait      time.Duration // for the end of the session; 0: not at all
	// Set are the arguments of set_config, which is called for each row as they are; nil: it is
	// no such call.
	Set []datum.Datum
}

// The functions that end what sessions do.
const (
	cancelBackend    = "pg_cancel_backend"
	terminateBackend = "pg_terminate_backend"
)

// signalFunction recognises the functions by their names; ok is false for others.
func signalFunction(name string) (s Signal, ok bool) {
	return Signal{Terminate: name == terminateBackend}, name == cancelBackend || name == terminateBackend
}

// signalCall compiles a call. Process ids may be of any integer type: those of
// nodedb_internal.sessions are int8.
func signalCall(s Signal, args []Expr) (Expr, error) {
	if len(args) == 0 || len(args) > 2 || len(args) == 2 && !s.Terminate {
		return nil, errSlow // which says that there is no such function
	}
	for i := range args {
		if t := args[i].Type(); t != datum.Unknown && !t.IsInt() {
			return nil, errSlow
		}
		var err error
		if args[i], err = convert(args[i], datum.Int8, -1, datum.Assignment); err != nil {
			return nil, err
		}
	}
	return &fn{typ: datum.Bool, args: args, volatile: true, strict: true, eval: func(env *Env, v []datum.Datum) (datum.Datum, error) {
		call := s
		call.PID = v[0].I
		if len(v) == 2 {
			var err error
			if call.Wait, err = signalWait(v[1].I); err != nil {
				return datum.Datum{}, err
			}
		}
		done, err := env.Session.Signal(call)
		return datum.MakeBool(done), err
	}}, nil
}

// signalWait is the time that pg_terminate_backend waits, from milliseconds.
func signalWait(ms int64) (time.Duration, error) {
	if ms < 0 {
		return 0, fail("22003", 0, "\"timeout\" must not be negative")
	}
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond, nil
}

// SignalColumn is a column of a query of the slow path whose values are process ids,
// and whose place is taken by what a Signal to each comes to.
type SignalColumn struct {
	Column int
	Signal Signal
}

// signalMark begins the name that a column has in the slow path.
const signalMark = "nodedb signal "

// takeSignals has a query select the process ids in the place of calls that end them,
// where those are columns of the result: the engine runs beside the node, and calls
// nothing there. names are those of the columns, signals what is to be done, both by the
// mark of the column.
func takeSignals(s *pg.SelectStmt) (out *pg.SelectStmt, names map[string]string, signals map[string]Signal, err error) {
	if len(s.GetFromClause()) == 0 || len(s.GetDistinctClause())+len(s.GetGroupClause()) > 0 || s.GetHavingClause() != nil {
		return s, nil, nil, nil
	}
	for i, n := range s.GetTargetList() {
		f := n.GetResTarget().GetVal().GetFuncCall()
		path := f.GetFuncname()
		if len(path) == 0 {
			continue
		}
		name := path[len(path)-1].GetString_().GetSval()
		signal, ok := signalFunction(name)
		if name == "set_config" {
			signal.Set, ok = setConstants(f.GetArgs())
		}
		if !ok {
			continue
		}
		if len(f.GetArgs()) == 2 && signal.Terminate {
			wait := f.GetArgs()[1].GetAConst().GetIval()
			if wait == nil {
				return nil, nil, nil, syntax.Unsupported("a timeout that is not a constant, here", "Say the milliseconds as a number.")
			}
			if signal.Wait, err = signalWait(int64(wait.GetIval())); err != nil {
				return nil, nil, nil, err
			}
		} else if len(f.GetArgs()) != 1 && signal.Set == nil {
			continue // there is no such function
		}
		if signals == nil {
			s = proto.CloneOf(s)
			names, signals = map[string]string{}, map[string]Signal{}
		}
		target, mark := s.GetTargetList()[i].GetResTarget(), signalMark+strconv.Itoa(i)
		if names[mark] = target.GetName(); names[mark] == "" {
			names[mark] = outputName(target.GetVal())
		}
		signals[mark] = signal
		target.Name, target.Val = mark, target.GetVal().GetFuncCall().GetArgs()[0]
		if signal.Set != nil {
			target.Val = pg.MakeAConstIntNode(0, -1)
		}
	}
	return s, names, signals, nil
}

// setConstants are the arguments of set_config, if all are constants.
func setConstants(args []*pg.Node) ([]datum.Datum, bool) {
	if len(args) != 3 {
		return nil, false
	}
	out := []datum.Datum{datum.MakeNull(datum.Text), datum.MakeNull(datum.Text), datum.MakeNull(datum.Bool)}
	for i, a := range args {
		switch c := a.GetAConst(); v := c.GetVal().(type) {
		case *pg.A_Const_Sval:
			out[i] = datum.MakeText(v.Sval.GetSval())
		case *pg.A_Const_Boolval:
			out[i] = datum.MakeBool(v.Boolval.GetBoolval())
		default:
			if !c.GetIsnull() {
				return nil, false
			}
		}
	}
	return out, out[0].Type == datum.Text && out[1].Type == datum.Text && out[2].Type == datum.Bool && !out[2].Null
}

// signalColumns finds the columns that takeSignals has marked, and gives them their names
// and type.
func signalColumns(columns []Column, names map[string]string, signals map[string]Signal) ([]SignalColumn, error) {
	var out []SignalColumn
	for i := range columns {
		c := &columns[i]
		signal, ok := signals[c.Name]
		if !ok {
			continue
		}
		if !c.Type.IsInt() {
			return nil, fail("42883", 0, "function %s(%s) does not exist", names[c.Name], c.Type.SQLName())
		}
		out = append(out, SignalColumn{Column: i, Signal: signal})
		*c = Column{Name: names[c.Name], Type: datum.Bool, Modifier: -1}
		if signal.Set != nil {
			c.Type = datum.Text
		}
	}
	return out, nil
}

// Send carries out the signal to the process id v, and returns what the column shows.
func (c *SignalColumn) Send(env *Env, v datum.Datum) (datum.Datum, error) {
	if c.Signal.Set != nil {
		return setConfig(env, c.Signal.Set)
	}
	if v.Null {
		return datum.MakeNull(datum.Bool), nil
	}
	call := c.Signal
	call.PID = v.I
	done, err := env.Session.Signal(call)
	return datum.MakeBool(done), err
}
