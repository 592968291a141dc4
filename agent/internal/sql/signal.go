package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// SessionEnder ends sessions of any node.
type SessionEnder interface {
	// EndSession ends a session of a node, or only the statement that it runs. there:
	// there is such a session; ended: it ends, or its statement does.
	EndSession(ctx context.Context, node cluster.NodeID, pid uint32, terminate bool) (there, ended bool, err error)
}

// signalPoll is how often pg_terminate_backend looks whether a session is gone.
const signalPoll = 50 * time.Millisecond

// signals carries out pg_cancel_backend and pg_terminate_backend for one statement.
type signals struct {
	s *Session
	// asked says that found are the sessions of all nodes but missing. They are asked
	// once in a statement, which may name hundreds.
	asked   bool
	found   []cluster.Session
	missing []cluster.NodeID
}

// signaller carries out the calls of one statement.
func (s *Session) signaller(ctx context.Context) func(queryplan.Signal) (bool, error) {
	x := &signals{s: s}
	return func(call queryplan.Signal) (bool, error) { return x.send(ctx, call) }
}

// send ends a session, or its statement: one's own, or an operator any. As in
// PostgreSQL it is false, with a warning, if there is no such session.
func (x *signals) send(ctx context.Context, call queryplan.Signal) (bool, error) {
	s := x.s
	if s.server.cfg.Ender == nil {
		return false, syntax.Unsupported("ending sessions", "This server has none but this one.")
	}
	if !x.asked {
		x.found, x.missing = s.server.cfg.Views.Sessions(ctx)
		x.asked = true
	}
	i := slices.IndexFunc(x.found, func(f cluster.Session) bool { return int64(f.PID) == call.PID })
	if i < 0 {
		s.noBackend(call.PID, x.missing)
		return false, nil
	}
	target := &x.found[i]
	if target.User != s.options.User {
		if err := s.mayEnd(ctx, target, call.Terminate); err != nil {
			return false, err
		}
	}
	there, _, err := s.server.cfg.Ender.EndSession(ctx, target.Node, target.PID, call.Terminate)
	switch {
	case err != nil && ctx.Err() == nil:
		s.notice("WARNING", "01000", "could not send signal to process %d: %s does not answer", target.PID, target.Node)
		return false, nil
	case err != nil:
		return false, err
	case !there:
		s.noBackend(call.PID, nil)
		return false, nil
	case call.Terminate && target.PID == s.options.PID: // it does not live to see the answer
		<-ctx.Done()
		return false, context.Cause(ctx)
	case call.Terminate && call.Wait > 0:
		return x.gone(ctx, target.PID, call.Wait)
	}
	return true, nil
}

// noBackend warns that there is no such session, as far as nodes answer.
func (s *Session) noBackend(pid int64, missing []cluster.NodeID) {
	text := fmt.Sprintf("PID %d is not a PostgreSQL backend process", pid)
	if len(missing) > 0 {
		text += " of a node that answers; no answer from " + clusterview.NodeNames(missing).Text()
	}
	s.notice("WARNING", "01000", "%s", text)
}

// mayEnd allows operators to end what others do. It is recorded before it is done, as
// in the admin API: what cannot be recorded is not done.
func (s *Session) mayEnd(ctx context.Context, x *cluster.Session, terminate bool) error {
	what := "pg_cancel_backend of another user's session"
	if terminate {
		what = "pg_terminate_backend of another user's session"
	}
	if err := s.need(roleOperator, what); err != nil {
		return err
	}
	if !terminate && x.State != cluster.SessionActive {
		return nil // there is nothing to cancel
	}
	return s.proposeRole(ctx, metastate.Command{EndSession: &metastate.EndSession{
		Node: x.Node, PID: x.PID, User: x.User, Application: x.Application, Terminate: terminate, Reason: "asked for in SQL",
	}})
}

// gone waits for the end of a session.
func (x *signals) gone(ctx context.Context, pid uint32, wait time.Duration) (bool, error) {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	tick := time.NewTicker(signalPoll)
	defer tick.Stop()
	for {
		found, missing := x.s.server.cfg.Views.Sessions(ctx)
		if len(missing) == 0 && !slices.ContainsFunc(found, func(f cluster.Session) bool { return f.PID == pid }) {
			return true, nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			unit := "milliseconds"
			if wait == time.Millisecond {
				unit = "millisecond"
			}
			x.s.notice("WARNING", "01000", "backend with PID %d did not terminate within %d %s", pid, wait.Milliseconds(), unit)
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// signalling has rows go to emit with what the signals to the process ids in them come
// to in their places.
func signalling(columns []queryplan.SignalColumn, env *queryplan.Env, emit func([]datum.Datum) error) func([]datum.Datum) error {
	if len(columns) == 0 {
		return emit
	}
	var out []datum.Datum
	return func(row []datum.Datum) error {
		out = append(out[:0], row...)
		for i := range columns {
			c := &columns[i]
			var err error
			if out[c.Column], err = c.Send(env, row[c.Column]); err != nil {
				return err
			}
		}
		return emit(out)
	}
}
