package sql

import (
	"context"
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// lastCall is the last call of a function in a statement.
type lastCall struct {
	args  []datum.Datum
	value datum.Datum
}

// caller carries out the functions that the expressions of one statement call. One that is not
// volatile gives the same for the same arguments as long as the statement lasts: policies call
// it for each row.
func (s *Session) caller(ctx context.Context) func(*queryplan.Routine, []datum.Datum) (datum.Datum, error) {
	var last map[*queryplan.Routine]lastCall
	return func(r *queryplan.Routine, args []datum.Datum) (datum.Datum, error) {
		if was, ok := last[r]; ok && slices.EqualFunc(was.args, args, sameValue) {
			return was.value, nil
		}
		value, err := s.call(ctx, s.server.cfg.Now(), r, args)
		if err != nil || r.Volatile() {
			return value, err
		}
		if last == nil {
			last = map[*queryplan.Routine]lastCall{}
		}
		last[r] = lastCall{slices.Clone(args), value}
		return value, nil
	}
}

// sameValue reports whether a function cannot tell a from b.
func sameValue(a, b datum.Datum) bool {
	return a.Type == b.Type && a.Null == b.Null && (a.Null || a.Text() == b.Text())
}

// rowSession is what expressions of a table are computed in by an operation. The functions that
// they call are carried out as the owner of the table, each call on its own.
func (c *schemaChange) rowSession(ctx context.Context, t *catalog.Table) *queryplan.Session {
	call := func(r *queryplan.Routine, args []datum.Datum) (out datum.Datum, err error) {
		schema := t.Schema()
		database := c.server.catalog.View().Objects[schema.Parent]
		if database == nil {
			return out, &Error{Code: "3D000", Message: "the database of the table was dropped"}
		}
		session, err := c.server.Open(ctx, SessionOptions{User: t.Desc.Owner, Database: database.Name, ApplicationName: "change of " + t.Name(), inside: true})
		if err != nil {
			return out, err
		}
		defer session.Close()
		at := c.server.cfg.Now()
		_, err = session.fireAsOne(ctx, at, func() (string, error) {
			out, err = session.call(ctx, at, r, args)
			return "", err
		})
		return out, err
	}
	return &queryplan.Session{Call: call}
}

// guardSession is what conditions on rows are computed in that the engine reads: several scans
// at once, each while the statement is under way. Functions are called one after the other, and
// change nothing: what they wrote might be read by the same scan.
func (s *Session) guardSession(of *queryplan.Session) *queryplan.Session {
	out, mu := *of, new(sync.Mutex)
	out.Call = func(r *queryplan.Routine, args []datum.Datum) (datum.Datum, error) {
		mu.Lock()
		defer mu.Unlock()
		was := s.guarding
		s.guarding = true
		s.steady++
		defer func() { s.guarding, s.steady = was, s.steady-1 }()
		return of.Call(r, args)
	}
	return &out
}
