package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/permit"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// changeObjects runs a statement that changes objects: change makes the draft of it, on
// what the session sees. In a transaction the draft is kept until COMMIT; else it is
// published, and made anew if others have changed the same objects meanwhile.
func (s *Session) changeObjects(ctx context.Context, what string, change func(in catalog.Scope) (*catalog.Draft, error)) error {
	if s.current().readOnly {
		return &Error{Code: "25006", Message: "cannot execute " + what + " in a read-only transaction"}
	}
	plain := change
	change = func(in catalog.Scope) (*catalog.Draft, error) {
		if err := permit.Statement(in, s.owners(), s.running); err != nil {
			return nil, s.denied(what, err)
		}
		next, err := plain(in)
		if err == nil && s.server.cfg.Waiter == nil && next.CarriedOn() {
			return nil, syntax.Unsupported("changing a table that others may use, without a coordinator,", "")
		}
		return next, s.denied(what, err)
	}
	if s.tx != nil {
		next, err := change(s.scope())
		if err == nil {
			s.draft, s.queried = next, true
		}
		return err
	}
	for tries := 1; ; tries++ {
		next, err := change(s.scope())
		if err != nil {
			return err
		}
		if len(next.Bound()) > 0 {
			again, err := s.publishBound(ctx, next)
			if again && tries < publishTries {
				continue
			}
			return err
		}
		operations, err := s.publish(ctx, next)
		if err == nil && len(operations) > 0 {
			return s.awaitChange(ctx, operations[0]) // a statement that stands alone has one
		}
		switch {
		case !catalog.Overtaken(err) || ctx.Err() != nil:
			return err
		case tries == publishTries:
			return overtaken(err)
		}
	}
}

// publishTries is how often a statement is decided anew since others have changed the same
// objects. Each time somebody else's change was made, or the statement does not see what the
// meta range refuses it for: then it never would.
const publishTries = 100

// overtaken is what a statement is told that has given up.
func overtaken(err error) error {
	var refusal *metastate.Refusal
	if errors.As(err, &refusal) {
		return &Error{Code: "40001", Message: "could not serialize access: " + refusal.Message, Hint: retryHint}
	}
	return err
}

// publish has everybody see a draft, after transactions that are in its way. It returns the
// operations that carry the changes on.
func (s *Session) publish(ctx context.Context, d *catalog.Draft) (operations []string, err error) {
	redone := d.Redone(s.server.catalog.View())
	for {
		operations, err = s.server.catalog.Publish(ctx, d, s.options.User)
		var refusal *metastate.Refusal
		if errors.As(err, &refusal) && refusal.Code == metastate.CodePending {
			if err := s.server.cfg.DB.Settle(ctx, refusal); err != nil {
				return nil, fmt.Errorf("wait for a transaction that changes the same objects: %w", err)
			}
			continue
		}
		if err == nil && !d.Unchanged() {
			s.settle(ctx)
			s.barTruncated(ctx, d)
			err = s.raiseRedone(ctx, redone)
		}
		return operations, err
	}
}

// commitObjects commits a transaction that has changed objects. It returns what carries the
// changes on.
func (s *Session) commitObjects(ctx context.Context) (operations []string, err error) {
	s.draft = s.draft.Continue(s.placeOf)
	scope := s.scope()
	keep := func(t *catalog.Table) bool {
		o, there := scope.Object(t.Owner().ObjectID())
		return there && slices.Contains(o.StoredIDs(), t.ID())
	}
	bound := s.draft.Bound()
	if err := s.writeDown(ctx, bound, keep); err != nil {
		return nil, err
	}
	if len(bound) > 0 || s.tx.Wrote(keep) {
		redone := s.draft.Redone(s.server.catalog.View())
		part := &participant{session: s, draft: s.draft}
		if err = s.tx.Commit(ctx, exec.CommitOptions{Keep: keep, With: part, Versions: bound}); err == nil && !s.draft.Unchanged() {
			s.settle(ctx)
			s.barTruncated(ctx, s.draft)
			err = s.raiseRedone(ctx, redone)
		}
		if err == nil && s.draft.CarriedOn() {
			operations, err = s.resolved(ctx, part.id)
		}
	} else if err = s.tx.Commit(ctx, exec.CommitOptions{Keep: keep}); err == nil { // its locks were held
		operations, err = s.publish(ctx, s.draft)
	}
	var refusal *metastate.Refusal
	if catalog.Overtaken(err) || errors.As(err, &refusal) && refusal.Code == metastate.CodePending {
		return nil, overtaken(err)
	}
	return operations, err
}

// resolved waits until this node knows of the objects that a transaction has committed, and
// returns what carries their changes on.
func (s *Session) resolved(ctx context.Context, id cluster.TxnID) ([]string, error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		view := s.server.catalog.View()
		if view.Pending[id.String()] == nil {
			return view.SchemaChangesOf(id.String()), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			over := ended(ctx.Err())
			over.Detail = "The transaction is committed, and its changes of tables go on."
			return nil, over
		}
	}
}

// participant is the part of a transaction that is in the meta range.
type participant struct {
	session *Session
	draft   *catalog.Draft
	id      cluster.TxnID // once it is prepared
}

// Prepare satisfies txn.Participant.
func (p *participant) Prepare(ctx context.Context, id cluster.TxnID, record []byte) error {
	p.id = id
	if err := p.session.server.catalog.Prepare(ctx, p.draft, p.session.options.User, id, record); err != nil {
		return err
	}
	return p.session.bind(ctx, p.draft.Bound())
}

// checkTables refuses to write to collections that others have dropped: their rows would
// be lost.
func (s *Session) checkTables() error {
	view := s.server.catalog.View()
	for _, t := range s.tx.Tables() {
		if id := t.Owner().ObjectID(); view.Objects[id] == nil && !s.draft.Made(id) {
			return &Error{Code: "40001", Message: fmt.Sprintf("could not serialize access: relation %q was dropped while the transaction ran", t.Name()), Hint: retryHint}
		}
	}
	return nil
}

// create runs CREATE COLLECTION.
func (s *Session) create(ctx context.Context, node *syntax.CreateCollection, at time.Time) (string, error) {
	if node.OnCommit == "" {
		return s.createTable(ctx, node)
	}
	s.onCommit = true // the statement may be a transaction of its own
	return s.asOne(ctx, at, func() (string, error) { return s.createTable(ctx, node) })
}

func (s *Session) createTable(ctx context.Context, node *syntax.CreateCollection) (string, error) {
	tag := "CREATE " + node.Word
	if _, taken := s.server.systemTable("", node.Name.Name); taken && node.Name.Schema == "" {
		return "", &Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", node.Name.Name)}
	}
	temporary, err := s.forTemporary(node.Temporary, node.Name)
	if err == nil {
		err = checkOnCommit(temporary, node.OnCommit)
	}
	if err != nil {
		return "", err
	}
	existed := false
	err = s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		node := *node
		if temporary {
			if in, node.Name, err = s.inTemporary(ctx, in, node.Name); err != nil {
				return nil, err
			}
		}
		node.Columns = s.settledTable(in, node.Columns)
		next, existed, err = s.server.catalog.Create(ctx, in, &node, s.user, sound(in, &node))
		return next, err
	})
	if err != nil {
		return "", err
	}
	if existed {
		s.notice("NOTICE", "42P07", "relation %q already exists, skipping", node.Name.Name)
		return tag, nil
	}
	s.ignored(node.Ignored)
	return tag, nil
}

func (s *Session) drop(ctx context.Context, node *syntax.DropCollection) (string, error) {
	tag := "DROP " + node.Word
	var told catalog.Dropped
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.Drop(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	s.tellDropped(told, cluster.KindTable)
	return tag, nil
}

const (
	settleTimeout = time.Second           // how long a DDL waits for the other nodes
	settleEvery   = 20 * time.Millisecond // and how often it asks them
)

// settle waits until the nodes that answer have this node's catalog, so that a
// client's next statement, on another node, finds what this one made. A node
// that is slow or away is not waited for longer than settleTimeout.
func (s *Session) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	want := s.server.catalog.View().Index
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		behind := false
		statuses, _ := s.server.cfg.Views.ClusterStatus(ctx)
		for _, st := range statuses {
			behind = behind || st.MetaIndex < want
		}
		if !behind {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// allowAlone refuses a statement that is carried out at once in a transaction block.
func (s *Session) allowAlone(what string) error {
	if s.current().readOnly {
		return &Error{Code: "25006", Message: "cannot execute " + what + " in a read-only transaction"}
	}
	if s.tx != nil {
		return &Error{Code: "25001", Message: what + " cannot run inside a transaction block", Hint: "Run it on its own, before the transaction."}
	}
	return nil
}
