package sql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Temporary objects are objects like others, in a schema that only their session finds
// (ADR 0053). The session drops it at its end; what it could not, the node does, and of nodes
// that are gone the one that leads the meta range.

const (
	// sweepEvery is how often a node looks for temporary objects of sessions that are gone.
	sweepEvery = 30 * time.Second
	// goneAfter is how long a node is away until others drop what its sessions have left.
	goneAfter = 2 * time.Minute
	// sweepFor is how long dropping those of one session may take.
	sweepFor = 20 * time.Second
)

// forTemporary looks whether what is to be made is temporary, by its name or because a
// statement says so.
func (s *Session) forTemporary(says bool, name syntax.Name) (bool, error) {
	scope := s.scope()
	own := name.Schema == catalog.TempSchema
	if schema, ok := scope.TemporarySchema(); ok && name.Schema == schema.Name {
		own = true
	}
	there := true
	if name.Schema != "" {
		_, there = scope.Schema(name.Schema)
	}
	switch {
	case own:
		return true, nil
	case says && !there:
		return false, &Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", name.Schema), Position: name.Position}
	case says && name.Schema != "":
		return false, &Error{Code: "42P16", Message: "cannot create temporary relation in non-temporary schema", Position: name.Position}
	case says:
		return true, nil
	}
	return name.Schema == "" && len(scope.Path) > 0 && scope.Path[0] == catalog.TempSchema, nil
}

// checkOnCommit refuses ON COMMIT of what stays.
func checkOnCommit(temporary bool, onCommit string) error {
	if onCommit != "" && !temporary {
		return &Error{Code: "42P16", Message: "ON COMMIT can only be used on temporary tables"}
	}
	return nil
}

// inTemporary is the scope, and the name, with which a temporary object is made.
func (s *Session) inTemporary(ctx context.Context, in catalog.Scope, name syntax.Name) (catalog.Scope, syntax.Name, error) {
	database, _ := in.Object(in.Database)
	if database != nil && in.Rights != nil && !in.Rights.May(database, cluster.Temporary) {
		return in, name, &syntax.Error{Code: "42501", Message: fmt.Sprintf("permission denied to create temporary tables in database %q", database.Name)}
	}
	out, err := s.server.catalog.Temporary(ctx, in, cluster.TemporaryOf{Node: s.server.cfg.Node, PID: s.options.PID}, s.user)
	if err != nil {
		return in, name, err
	}
	s.temp.Store(uint64(out.Temp)) // before anybody sees the schema, or it would be swept
	name.Schema = catalog.TempSchema
	return out, name, nil
}

// temporaryOf is the schema of temporary objects as functions tell it.
func temporaryOf(scope catalog.Scope) duck.Schema {
	if schema, ok := scope.TemporarySchema(); ok {
		return duck.Schema{Name: schema.Name, OID: pgcatalog.OID(schema.ID)}
	}
	return duck.Schema{}
}

// forgets reports whether COMMIT has rows go that a plan writes.
func forgets(plan *queryplan.Plan) bool {
	switch {
	case plan.Insert != nil:
		return plan.Insert.Table.Desc.Collection.OnCommit != ""
	case plan.Change != nil:
		return plan.Change.Table.Desc.Collection.OnCommit != ""
	case plan.Merge != nil:
		return plan.Merge.Table.Desc.Collection.OnCommit != ""
	}
	return false
}

// writesTemporary reports whether a plan writes rows of a temporary table only.
func (s *Session) writesTemporary(plan *queryplan.Plan) bool {
	temp := cluster.ObjectID(s.temp.Load())
	switch {
	case plan.Insert != nil:
		return plan.Insert.Table.Schema().ID == temp
	case plan.Change != nil:
		return plan.Change.Table.Schema().ID == temp
	case plan.Merge != nil:
		return plan.Merge.Table.Schema().ID == temp
	}
	return false
}

// commitTemporary does what ON COMMIT asks for. Rows that go at each COMMIT have been written
// by the transaction that commits, and by no other: it forgets them.
func (s *Session) commitTemporary() error {
	if !s.onCommit {
		return nil
	}
	scope := s.scope()
	drop := &syntax.DropCollection{Drop: syntax.Drop{Cascade: true}}
	for _, o := range scope.OnCommit(cluster.OnCommitDrop) {
		drop.Names = append(drop.Names, syntax.Name{Schema: catalog.TempSchema, Name: o.Name})
	}
	if len(drop.Names) > 0 {
		next, _, err := s.server.catalog.Drop(scope, drop)
		if err != nil {
			return err
		}
		s.draft = next
	}
	for _, o := range scope.OnCommit(cluster.OnCommitDelete) {
		s.tx.Forget(o.StoredIDs())
	}
	return nil
}

// discardTemporary drops all temporary objects of the session.
func (s *Session) discardTemporary(ctx context.Context) error {
	if s.temp.Load() == 0 {
		return nil
	}
	if s.tx != nil {
		next, err := s.server.catalog.DropTemporary(s.scope())
		if err == nil {
			s.draft = next
		}
		return err
	}
	return s.server.dropTemporary(ctx, s.scope(), s.options.User)
}

// dropTemporary drops the temporary objects of the session that a scope is of.
func (s *Server) dropTemporary(ctx context.Context, in catalog.Scope, by string) error {
	for {
		in.View = s.catalog.View()
		next, err := s.catalog.DropTemporary(in)
		if err != nil {
			return err
		}
		_, err = s.catalog.Publish(ctx, next, by)
		var refusal *metastate.Refusal
		switch {
		case errors.As(err, &refusal) && refusal.Code == metastate.CodePending:
			if err := s.cfg.DB.Settle(ctx, refusal); err != nil {
				return fmt.Errorf("wait for a transaction that changes temporary objects: %w", err)
			}
		case err == nil, !catalog.Overtaken(err), ctx.Err() != nil:
			return err
		}
	}
}

// RunTemporary drops what sessions have left that are gone, at once when one ends, until ctx
// is done.
func (s *Server) RunTemporary(ctx context.Context) {
	away := map[cluster.NodeID]time.Time{}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		s.sweepTemporary(ctx, away, time.Now())
		select {
		case <-s.left:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweepTemporary drops the temporary objects of sessions that are gone. away is since when
// nodes have been.
func (s *Server) sweepTemporary(ctx context.Context, away map[cluster.NodeID]time.Time, now time.Time) {
	view := s.catalog.View() // before the sessions: a session has its schema before others see it
	live := s.liveTemporary()
	s.findAway(view, away, now)
	for _, o := range view.Objects {
		if o.Temporary == nil || live[o.ID] {
			continue
		}
		since, isAway := away[o.Temporary.Node]
		if o.Temporary.Node != s.cfg.Node && (!isAway || now.Sub(since) < goneAfter && !s.cfg.Planted.sweepsAtOnce()) {
			continue
		}
		in := s.catalog.Scope(nil, o.Parent, nil)
		in.Temp = o.ID
		ctx, cancel := context.WithTimeout(ctx, sweepFor)
		err := s.dropTemporary(ctx, in, o.Owner)
		cancel()
		if err != nil {
			s.cfg.Logger.Info("temporary objects of a session that is gone stay for now", slog.String("schema", o.Name), slog.Any("error", err))
		}
	}
}

// liveTemporary are the schemas of the sessions that are open.
func (s *Server) liveTemporary() map[cluster.ObjectID]bool {
	out := map[cluster.ObjectID]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.mu.sessions {
		out[cluster.ObjectID(x.temp.Load())] = true
	}
	return out
}

// findAway notes, on the node that leads the meta range, since when others have been away.
func (s *Server) findAway(view *metastate.View, away map[cluster.NodeID]time.Time, now time.Time) {
	if s.cfg.Views.Leader(cluster.MetaRangeID) != s.cfg.Node {
		clear(away)
		return
	}
	liveness := s.cfg.Views.Liveness()
	for _, o := range view.Objects {
		if o.Temporary == nil {
			continue
		}
		id := o.Temporary.Node
		n := view.Nodes[id]
		here := id == s.cfg.Node || liveness[id] == cluster.Alive && n != nil && n.Membership != cluster.Decommissioned
		if _, noted := away[id]; here {
			delete(away, id)
		} else if !noted {
			away[id] = now
		}
	}
}
