package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/settings"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// modes are what a transaction was asked to be.
type modes struct {
	isolation  string // as SHOW tells it
	readOnly   bool
	deferrable bool // accepted: no transaction waits for others to begin
	// asOf is the time at which it reads; 0: it takes its own.
	asOf hlc.Timestamp
}

// level is the isolation level.
func (m modes) level() txn.Isolation {
	level, _ := settings.Isolation(m.isolation)
	return level
}

// savepoint is a state of the transaction that it can go back to.
type savepoint struct {
	name       string
	state      exec.Mark
	draft      *catalog.Draft
	advisories int // that the transaction had asked for
	settings   settings.Mark
	readOnly   bool
	deferring  *deferring
	fires      []deferredFire
	declared   int // cursors
	notified   marked
}

// defaults are the modes that a transaction begins with.
func (s *Session) defaults() modes {
	on := func(name string) bool { v, _ := s.settings.Get(name); return v == "on" }
	level, _ := s.settings.Get("default_transaction_isolation")
	return modes{isolation: level, readOnly: on("default_transaction_read_only"), deferrable: on("default_transaction_deferrable")}
}

// current are the modes of the transaction, or those that the next one begins with.
func (s *Session) current() modes {
	if s.tx != nil {
		return s.modes
	}
	return s.defaults()
}

// open begins a transaction.
func (s *Session) open(m modes, at time.Time) {
	s.memory = s.server.cfg.Memory.Open()
	s.tx = exec.NewTx(s.server.cfg.DB, exec.TxOptions{Writer: s.writer(), Info: s.info(at), Memory: s.memory, Planted: s.server.cfg.Planted.exec()})
	s.modes, s.began = m, at
	s.failed, s.entered, s.queried, s.savepoints = false, false, false, nil
	s.settings.Begin()
}

// BeginImplicit says that the statements from here to EndImplicit came together: what
// of them is in no transaction block is one transaction.
func (s *Session) BeginImplicit() { s.implicit = true }

// EndImplicit commits what BeginImplicit began, or rolls it back if a statement of it
// failed. A block that is open stays open.
func (s *Session) EndImplicit(ctx context.Context) (err error) {
	s.implicit = false
	if s.tx == nil || s.block {
		return nil
	}
	defer s.rest()
	defer s.guard("", &err)
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := s.finish(ctx); err != nil {
		return whyEnded(ctx, err)
	}
	return nil
}

// join has a statement take part in the transaction of those that it came with. One
// that no transaction can hold is carried out on its own, after what came before it
// was committed.
func (s *Session) join(ctx context.Context, node syntax.Node, at time.Time) error {
	if !s.implicit || s.block {
		return nil
	}
	switch {
	case standsAlone(node):
		return s.finish(ctx)
	case s.tx == nil && !controls(node):
		s.open(s.defaults(), at)
	}
	return nil
}

// standsAlone reports whether a statement changes what is no row, at once and for good.
func standsAlone(node syntax.Node) bool {
	switch node.(type) {
	case *syntax.AlterSystem, *syntax.AlterNode, *syntax.Rebalance, *syntax.CreatePool, *syntax.AlterPool, *syntax.DropPool,
		*syntax.ChangeRole, *syntax.SetRole, *syntax.DropRole, *syntax.GrantRole, *syntax.CreateDatabase, *syntax.DropDatabase:
		return true
	}
	return false
}

// controls reports whether a statement begins or ends transactions.
func controls(node syntax.Node) bool {
	switch n := node.(type) {
	case *syntax.Begin, *syntax.Commit, *syntax.Rollback, *syntax.Savepoint, *syntax.RollbackTo, *syntax.Release:
		return true
	case *syntax.Discard:
		return n.All
	}
	return false
}

// begin runs BEGIN. What came before it in the same message becomes a part of the block.
func (s *Session) begin(node *syntax.Begin, at time.Time) (string, error) {
	if s.block {
		s.notice("WARNING", "25001", "there is already a transaction in progress")
	} else if s.tx == nil {
		s.open(s.defaults(), at)
	}
	s.block = true
	return node.Word, s.setModes(node.Modes)
}

// setModes changes what the transaction is, as far as that can be changed by now.
func (s *Session) setModes(m syntax.TransactionModes) error {
	late := func(format string) error { return &Error{Code: "25001", Message: format} }
	if m.Isolation != "" && m.Isolation != s.modes.isolation {
		switch {
		case s.queried:
			return late("SET TRANSACTION ISOLATION LEVEL must be called before any query")
		case len(s.savepoints) > 0:
			return late("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
		}
		s.modes.isolation = m.Isolation
	}
	if m.ReadOnly != nil {
		if writes := !*m.ReadOnly && s.modes.readOnly; writes && len(s.savepoints) > 0 && s.savepoints[len(s.savepoints)-1].readOnly {
			return late("cannot set transaction read-write mode inside a read-only transaction")
		} else if writes && s.queried {
			return late("transaction read-write mode must be set before any query")
		}
		s.modes.readOnly = *m.ReadOnly
	}
	if m.AsOf != nil {
		if s.queried {
			return late("SET TRANSACTION AS OF SYSTEM TIME must be called before any query")
		}
		var err error
		if s.modes.asOf, err = s.pastTime(m.AsOf, &queryplan.Env{Now: s.began, Statement: s.began, Session: s.environment(context.Background())}); err != nil {
			return err
		}
	}
	if m.Deferrable != nil && *m.Deferrable != s.modes.deferrable {
		switch {
		case len(s.savepoints) > 0:
			return late("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction")
		case s.queried:
			return late("SET TRANSACTION [NOT] DEFERRABLE must be called before any query")
		}
		s.modes.deferrable = *m.Deferrable
	}
	return nil
}

func (s *Session) setTransaction(node *syntax.SetTransaction) (string, error) {
	switch {
	case node.Session:
		return "SET", s.setDefaults(node.Modes)
	case s.tx == nil:
		s.notice("WARNING", "25P01", "SET TRANSACTION can only be used in transaction blocks")
		return "SET", nil
	default:
		return "SET", s.setModes(node.Modes)
	}
}

// setDefaults sets what later transactions begin with.
func (s *Session) setDefaults(m syntax.TransactionModes) error {
	values := map[string]string{"default_transaction_isolation": m.Isolation, "default_transaction_read_only": onOff(m.ReadOnly), "default_transaction_deferrable": onOff(m.Deferrable)}
	for name, value := range values {
		if value == "" {
			continue
		}
		if err := s.settings.Set(name, value, false); err != nil {
			return err
		}
	}
	return nil
}

func onOff(v *bool) string {
	switch {
	case v == nil:
		return ""
	case *v:
		return "on"
	}
	return "off"
}

// asModes makes modes of SET transaction_isolation and the like; ok is false for
// other settings.
func (s *Session) asModes(name, value string) (m syntax.TransactionModes, ok bool, err error) {
	switch name {
	case "transaction_isolation":
		m.Isolation, err = s.checkedMode(name, value)
	case "transaction_read_only", "transaction_deferrable":
		if value, err = s.checkedMode(name, value); err != nil {
			return m, true, err
		}
		on := value == "on"
		if m.Deferrable = &on; name == "transaction_read_only" {
			m.ReadOnly, m.Deferrable = &on, nil
		}
	default:
		return m, false, nil
	}
	return m, true, err
}

// checkedMode checks the value of a mode, which is one of the default for it. The error
// names what was asked for.
func (s *Session) checkedMode(name, value string) (string, error) {
	out, err := s.settings.Check("default_"+name, value)
	if err != nil {
		err.Message = strings.Replace(err.Message, "default_"+name, name, 1)
		return "", err
	}
	return out, nil
}

// commit ends the block; a failed one is rolled back, as its tag says.
func (s *Session) commit(ctx context.Context, node *syntax.Commit, at time.Time) (string, error) {
	if !s.block && node.Chain {
		return "", noBlock("COMMIT AND CHAIN")
	}
	if !s.block {
		s.notice("WARNING", "25P01", "there is no transaction in progress")
	}
	tag, m := "COMMIT", s.modes
	if s.failed {
		tag = "ROLLBACK"
	}
	if err := s.finish(ctx); err != nil {
		return "", err
	}
	s.chain(node.Chain, m, at)
	return tag, nil
}

func (s *Session) rollback(node *syntax.Rollback, at time.Time) (string, error) {
	if !s.block && node.Chain {
		return "", noBlock("ROLLBACK AND CHAIN")
	}
	if !s.block {
		s.notice("WARNING", "25P01", "there is no transaction in progress")
	}
	m := s.modes
	s.endTransaction(true)
	s.chain(node.Chain, m, at)
	return "ROLLBACK", nil
}

// chain begins another block like the one that ended.
func (s *Session) chain(wanted bool, m modes, at time.Time) {
	if wanted {
		s.open(m, at)
		s.block = true
	}
}

// finish commits the transaction, if there is one, or rolls it back if it failed.
func (s *Session) finish(ctx context.Context) error {
	if s.tx == nil {
		return nil
	}
	if s.failed {
		s.endTransaction(true)
		return nil
	}
	var operations []string
	err := s.holdCursors(ctx)
	all := func(cluster.Deferral) bool { return true }
	if err == nil {
		err = s.fireDeferred(ctx, all)
	}
	if err == nil {
		err = s.settleDeferred(ctx, s.server.cfg.Now(), all)
	}
	if err == nil {
		err = s.commitTemporary()
	}
	if err == nil {
		err = s.checkTables()
	}
	switch {
	case err != nil:
	case s.draft.Empty():
		err = s.tx.Commit(ctx, exec.CommitOptions{})
	default:
		operations, err = s.commitObjects(ctx)
	}
	s.endTransaction(err != nil)
	if err == nil {
		err = s.awaitChanges(ctx, operations)
	}
	return err
}

// closeTx gives up what the transaction holds.
func (s *Session) closeTx() {
	if s.tx != nil {
		s.tx.Close()
		s.memory.Close()
	}
	s.tx, s.memory, s.draft, s.deferring, s.numbering.places, s.deferredFires = nil, nil, nil, nil, nil, nil
}

// info says whose a transaction is.
func (s *Session) info(at time.Time) txn.Info {
	application, _ := s.settings.Get("application_name")
	return txn.Info{User: s.options.User, Application: application, PID: s.options.PID, Started: at, Group: &s.group}
}

func (s *Session) endTransaction(rollback bool) {
	if s.tx == nil {
		return
	}
	s.endCursors(rollback)
	s.closeTx()
	s.settleNotifying(!rollback)
	s.unlockAdvisory(true)
	s.block, s.failed, s.savepoints = false, false, nil
	s.settings.End(rollback)
	s.followSettings()
}

func noBlock(what string) error {
	return &Error{Code: "25P01", Message: what + " can only be used in transaction blocks"}
}

func (s *Session) savepoint(node *syntax.Savepoint) (string, error) {
	if !s.block {
		return "", noBlock("SAVEPOINT")
	}
	if len(s.savepoints) >= maxSavepoints {
		return "", &Error{Code: "54000", Message: fmt.Sprintf("a transaction may have at most %d savepoints", maxSavepoints), Hint: "RELEASE those that are not needed any more."}
	}
	s.savepoints = append(s.savepoints, s.mark(node.Name))
	return "SAVEPOINT", nil
}

// mark is the state of the transaction now.
func (s *Session) mark(name string) savepoint {
	return savepoint{name: name, state: s.tx.Mark(), draft: s.draft, advisories: len(s.advised), settings: s.settings.Mark(), readOnly: s.modes.readOnly, deferring: s.deferring, fires: slices.Clip(s.deferredFires), declared: s.declared, notified: s.notifying.mark()}
}

// maxSavepoints bounds what a session keeps of them: some 200 bytes each.
const maxSavepoints = 100_000

// rollbackTo goes back to a savepoint, which stays; a failed transaction goes on.
func (s *Session) rollbackTo(ctx context.Context, node *syntax.RollbackTo) (string, error) {
	i, err := s.findSavepoint("ROLLBACK TO SAVEPOINT", node.Name)
	if err != nil {
		return "", err
	}
	s.backTo(ctx, &s.savepoints[i])
	s.savepoints = s.savepoints[:i+1]
	return "ROLLBACK", nil
}

// backTo has the transaction be as it was.
func (s *Session) backTo(ctx context.Context, p *savepoint) {
	s.closeCursors(func(c *cursor) bool { return c.young && c.number > p.declared })
	if err := s.tx.BackTo(ctx, p.state); err != nil {
		s.notice("WARNING", "01000", "locks that were taken since the savepoint stay until the end of the transaction: %v", err)
	}
	s.advisoriesBackTo(p.advisories)
	if !s.server.cfg.Planted.keepsUndone() {
		s.notifying.backTo(p.notified)
	}
	s.draft, s.deferring, s.deferredFires = p.draft, p.deferring, p.fires
	s.settings.BackTo(p.settings)
	s.followSettings()
	s.failed, s.modes.readOnly = false, p.readOnly
}

// release forgets a savepoint and those after it; what was done since stays.
func (s *Session) release(node *syntax.Release) (string, error) {
	i, err := s.findSavepoint("RELEASE SAVEPOINT", node.Name)
	if err != nil {
		return "", err
	}
	s.savepoints = s.savepoints[:i]
	return "RELEASE", nil
}

// findSavepoint finds the last savepoint of the name.
func (s *Session) findSavepoint(what, name string) (int, error) {
	if !s.block {
		return 0, noBlock(what)
	}
	for i, p := range slices.Backward(s.savepoints) {
		if p.name == name {
			return i, nil
		}
	}
	return 0, &Error{Code: "3B001", Message: fmt.Sprintf("savepoint %q does not exist", name)}
}
