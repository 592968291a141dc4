package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Execute runs p and returns its command tag.
func (s *Session) Execute(ctx context.Context, p *Prepared, args []datum.Datum, sink RowSink) (tag string, err error) {
	began, at := time.Now(), s.server.cfg.Now()
	s.seen.work(p.statement.Shown(), at)
	defer func() {
		ended := time.Now()
		s.rest()
		s.server.pace.note(ended.Sub(began), ended)
	}()
	defer s.guard(p.statement.Text, &err)
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	for again := true; again; {
		alone := s.tx == nil
		if tag, err = s.execute(ctx, p, args, sink, at); err == nil || !alone {
			break
		}
		s.settleNotifying(false)
		again, err = s.again(ctx, p, err)
	}
	if s.tx == nil { // the statement was the transaction
		s.settleNotifying(err == nil || errors.Is(err, ErrRowsUnread))
	}
	if errors.Is(err, ErrRowsUnread) {
		return "", ErrRowsUnread
	}
	if err != nil {
		s.FailTx()
		err = whyEnded(ctx, err)
	}
	return tag, err
}

// bounded gives a statement the time that it may take.
func (s *Session) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := s.StatementTimeout()
	switch {
	case limit == 0:
		return ctx, func() {}
	case s.since.IsZero():
		return context.WithTimeout(ctx, limit)
	}
	return context.WithDeadline(ctx, s.since.Add(limit))
}

// StatementTimeout is how long a statement may take; 0: for ever.
func (s *Session) StatementTimeout() time.Duration { return s.settings.Duration("statement_timeout") }

// CountFrom says since when the time of the statement is counted that is prepared or executed
// next; the zero time: since it begins.
func (s *Session) CountFrom(since time.Time) { s.since = since }

// whyEnded says so if the statement's context ended, whatever it looked like inside.
func whyEnded(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !AsError(err).MaybeApplied() {
		return &endedError{why: ended, err: err}
	}
	return err
}

func (s *Session) execute(ctx context.Context, p *Prepared, args []datum.Datum, sink RowSink, at time.Time) (string, error) {
	if p.Empty {
		return "", nil
	}
	if s.failed && !endsTransaction(p.statement.Node) {
		return "", errAborted()
	}
	if err := s.join(ctx, p.statement.Node, at); err != nil {
		return "", err
	}
	s.settleCursors(ctx, p.statement.Node)
	s.running = p.statement.Node
	switch node := p.statement.Node.(type) {
	case *syntax.Query:
		return s.runQuery(ctx, p, node, args, sink, at)
	case *syntax.Copy:
		return s.copy(ctx, p.statement.Text, node, sink, at)
	case *syntax.PrepareStatement:
		return s.prepareNamed(ctx, node, p.statement.Text)
	case *syntax.DeclareCursor:
		return s.declare(ctx, p, node, args, at)
	case *syntax.FetchCursor:
		return s.fetch(ctx, node, sink)
	case *syntax.CloseCursor:
		return s.closeCursor(node)
	case *syntax.Begin:
		return s.begin(node, at)
	case *syntax.Commit:
		return s.commit(ctx, node, at)
	case *syntax.Rollback:
		return s.rollback(node, at)
	case *syntax.Savepoint:
		return s.savepoint(node)
	case *syntax.RollbackTo:
		return s.rollbackTo(ctx, node)
	case *syntax.Release:
		return s.release(node)
	case *syntax.SetTransaction:
		return s.setTransaction(node)
	case *syntax.SetSetting:
		return s.setSetting(node)
	case *syntax.AlterSystem:
		return s.alterSystem(ctx, node)
	case *syntax.ShowSetting:
		return s.showSetting(node, sink)
	case *syntax.ShowCluster:
		return s.showCluster(ctx, node, sink)
	case *syntax.ShowSchedules:
		return s.showSchedules(node, sink)
	case *syntax.AlterNode:
		return s.alterNode(ctx, node, sink)
	case *syntax.Rebalance:
		return s.rebalance(ctx, node, sink)
	case *syntax.CreatePool:
		return s.createPool(ctx, node)
	case *syntax.AlterPool:
		return s.alterPool(ctx, node)
	case *syntax.DropPool:
		return s.dropPool(ctx, node)
	default:
		return s.executeNames(ctx, node, sink, at)
	}
}

// executeNames runs a statement about what the session has named, about extensions and roles.
func (s *Session) executeNames(ctx context.Context, node syntax.Node, sink RowSink, at time.Time) (string, error) {
	switch node := node.(type) {
	case *syntax.Discard:
		return s.discard(ctx, node)
	case *syntax.CreateExtension:
		return s.createExtension(node)
	case *syntax.DropExtension:
		return s.dropExtension(node)
	case *syntax.ExecuteStatement:
		return s.executeNamed(ctx, node, sink, at)
	case *syntax.Deallocate:
		return s.deallocate(node)
	case *syntax.LockTable:
		return s.lockTable(node)
	case *syntax.ChangeRole:
		return s.changeRole(ctx, node)
	case *syntax.SetRole:
		return s.alterRoleSet(ctx, node)
	case *syntax.SetDatabase:
		return s.alterDatabaseSet(ctx, node)
	case *syntax.DropRole:
		return s.dropRole(ctx, node)
	case *syntax.GrantRole:
		return s.grantRole(ctx, node)
	default:
		return s.executeObjects(ctx, node, at)
	}
}

// executeObjects runs a statement about objects.
func (s *Session) executeObjects(ctx context.Context, node syntax.Node, at time.Time) (string, error) {
	switch node := node.(type) {
	case *syntax.CreateCollection:
		return s.create(ctx, node, at)
	case *syntax.DropCollection:
		return s.drop(ctx, node)
	case *syntax.AlterCollection:
		return s.alterCollection(ctx, node, at)
	case *syntax.CreateSequence:
		return s.createSequence(ctx, node)
	case *syntax.AlterSequence:
		return s.alterSequence(ctx, node)
	case *syntax.DropSequence:
		return s.dropSequence(ctx, node)
	case *syntax.CreateView:
		return s.createView(ctx, node)
	case *syntax.DropView:
		return s.dropView(ctx, node)
	case *syntax.RefreshMaterializedView:
		return s.refreshMaterialized(ctx, node, at)
	case *syntax.SetSchema:
		return s.setSchema(ctx, node)
	case *syntax.Comment:
		return s.comment(ctx, node)
	case *syntax.CreateEnum:
		return s.createEnum(ctx, node)
	case *syntax.AlterEnum:
		return s.alterEnum(ctx, node)
	case *syntax.CreateType:
		return s.createComposite(ctx, node)
	case *syntax.AlterType:
		return s.alterComposite(ctx, node)
	case *syntax.CreateDomain:
		return s.createDomain(ctx, node)
	case *syntax.AlterDomain:
		return s.alterDomain(ctx, node)
	case *syntax.DropType:
		return s.dropType(ctx, node)
	case *syntax.Truncate:
		return s.truncate(ctx, node, at)
	case *syntax.CreateTableAs:
		return s.createAs(ctx, node, at)
	case *syntax.CreateSchema:
		return s.createSchema(ctx, node)
	case *syntax.DropSchema:
		return s.dropSchema(ctx, node)
	case *syntax.CreateDatabase:
		return s.createDatabase(ctx, node)
	case *syntax.DropDatabase:
		return s.dropDatabase(ctx, node)
	case *syntax.Rename:
		return s.rename(ctx, node)
	case *syntax.CreateIndex:
		return s.createIndex(ctx, node, at)
	case *syntax.DropIndex:
		return s.dropIndex(ctx, node)
	case *syntax.Reindex:
		return s.reindex(ctx, node)
	case *syntax.ChangeOwner:
		return s.changeOwner(ctx, node)
	case *syntax.Do:
		return s.do(ctx, node, at)
	case *syntax.CreateFunction:
		return s.createFunction(ctx, node)
	case *syntax.AlterFunction:
		return s.alterFunction(ctx, node)
	case *syntax.DropFunction:
		return s.dropFunction(ctx, node)
	default:
		return s.executeAround(ctx, node, at)
	}
}

// executeAround runs a statement about what stands around objects: who may do what with
// them, what is run at times, and when they are looked at.
func (s *Session) executeAround(ctx context.Context, node syntax.Node, at time.Time) (string, error) {
	switch node := node.(type) {
	case *syntax.SetConstraints:
		return s.setConstraints(ctx, node, at)
	case *syntax.Maintain:
		return s.maintain(node)
	case *syntax.Listen:
		return s.listen(node)
	case *syntax.Notify:
		return "NOTIFY", s.notify(node.Channel, node.Payload)
	case *syntax.CreateSchedule:
		return s.createSchedule(ctx, node)
	case *syntax.AlterSchedule:
		return s.alterSchedule(ctx, node)
	case *syntax.DropSchedule:
		return s.dropSchedule(ctx, node)
	case *syntax.Grant:
		return s.grant(ctx, node)
	case *syntax.CreatePolicy:
		return s.createPolicy(ctx, node)
	case *syntax.AlterPolicy:
		return s.alterPolicy(ctx, node)
	case *syntax.DropPolicy:
		return s.dropPolicy(ctx, node)
	case *syntax.CreateTrigger:
		return s.createTrigger(ctx, node)
	case *syntax.DropTrigger:
		return s.dropTrigger(ctx, node)
	case *syntax.AlterDefaultPrivileges:
		return s.alterDefaultPrivileges(ctx, node)
	case *syntax.ReassignOwned:
		return s.reassignOwned(ctx, node)
	case *syntax.DropOwned:
		return s.dropOwned(ctx, node)
	default:
		return "", fmt.Errorf("statement of type %T has no implementation", node)
	}
}

// runQuery executes SELECT, INSERT, UPDATE, DELETE or EXPLAIN. A query that reads the past is
// planned without the indexes that are younger than that; what writes cannot go on in its
// transaction.
func (s *Session) runQuery(ctx context.Context, p *Prepared, q *syntax.Query, args []datum.Datum, sink RowSink, at time.Time) (string, error) {
	tag, err := s.runPlanned(ctx, p, q, args, sink, at)
	var groups *exec.TooManyGroupsError
	if errors.As(err, &groups) && q.Select != nil && (p.plan == nil || p.plan.With == nil) { // nothing was written
		defer func() { s.slowly, p.basis = false, basis{} }()
		s.slowly, p.basis = true, basis{}
		return s.runPlanned(ctx, p, q, args, sink, at)
	}
	var young *exec.YoungIndexError
	if !errors.As(err, &young) {
		return tag, err
	}
	if s.told || s.before != 0 || q.Select == nil || p.plan != nil && p.plan.With != nil {
		return "", &Error{Code: "40001", Message: fmt.Sprintf("could not serialize access: index %q was made while the transaction ran", young.Index), Hint: retryHint, cause: err}
	}
	defer func() { s.before, p.basis = 0, basis{} }()
	s.before, p.basis = young.TS, basis{}
	return s.runPlanned(ctx, p, q, args, sink, at)
}

// runPlanned is runQuery by the plan that there is, or a new one.
func (s *Session) runPlanned(ctx context.Context, p *Prepared, q *syntax.Query, args []datum.Datum, sink RowSink, at time.Time) (string, error) {
	p, err := s.refreshed(ctx, p, q, sink)
	if err != nil {
		return "", err
	}
	if err := cmp.Or(s.permitQuery(p, q), p.plan.Fails); err != nil {
		return "", err
	}
	if q.Explain != nil && !q.Explain.Analyze {
		return explained(p, q.Explain, nil, sink)
	}
	plan := p.plan
	if err := s.runnable(p); err != nil {
		return "", err
	}
	fires := s.fires(plan, at)
	if s.tx == nil && (plan.With != nil || plan.Merge != nil || fires != nil || plan.Calls || plan.Notifies || s.cascadesFire(plan) || forgets(plan)) {
		return s.queryAsOne(ctx, p, q, args, sink, at)
	}
	m := s.current()
	if err := s.mayRun(m, q, plan); err != nil {
		return "", err
	}
	if s.tx == nil {
		defer s.unlockAdvisory(true) // the statement is the transaction
	}
	env, err := s.beginQuery(ctx, m, plan, args, at)
	if err != nil {
		return "", err
	}
	if s.depth == 0 { // else the statement that fires has one
		place, err := s.enter(ctx, p.weight(), sink)
		if err != nil {
			return "", err
		}
		defer place.End()
	}
	out := &output{sink: sink, columns: p.Columns}
	s.told = false
	defer func() { s.told = out.begun }()
	reading, ts, err := s.reading(plan, q, env)
	if err != nil {
		return "", err
	}
	if ts != 0 && reading.Consistency == kv.AsOf && plan.Locks() != nil {
		return "", syntax.Unsupported(plan.Locks().Strength.String()+" with AS OF SYSTEM TIME", "The rows of the past cannot be locked.")
	}
	if q.Explain != nil {
		out = &output{sink: nobody{}}
		reading.Trace = &kv.Trace{}
	}
	memory := s.server.cfg.Memory.Open()
	defer memory.Close()
	run := s.newRun(env, at)
	run.Emit, run.Memory, run.Reading, run.TS, run.Feed = out.row, memory, reading, ts, p.feed
	defer run.Close()
	release, err := beginCursor(ctx, sink, run, plan)
	defer release()
	if err != nil {
		return "", err
	}
	began := time.Now()
	n, err := s.runFiring(ctx, plan, run, out, fires)
	if err != nil {
		return "", err
	}
	if q.Explain != nil {
		return explained(p, q.Explain, &measured{reads: reading.Trace.Reads(), rows: n, took: time.Since(began), now: s.server.cfg.Now()}, sink)
	}
	if err := out.begin(); err != nil {
		return "", err
	}
	return queryTag(q, n), nil
}

// mayRun refuses what a transaction of the mode, or the function that runs, does not change.
func (s *Session) mayRun(m modes, q *syntax.Query, plan *queryplan.Plan) error {
	if err := m.permits(q, plan); err != nil && !s.writesTemporary(plan) {
		return err
	}
	if s.pure {
		if what := changes(q, plan); what != "" {
			return &Error{Code: "0A000", Message: what + " is not allowed in a non-volatile function"}
		}
	}
	return nil
}

// runnable refuses a plan that reads a view without rows, or calls what the role may not.
func (s *Session) runnable(p *Prepared) error {
	if err := p.populated(); err != nil {
		return err
	}
	return cmp.Or(s.refuseFiring(p.plan.With), s.mayCall(p.plan.Routines))
}

// beginQuery begins a statement in the transaction that there is, and returns what its
// expressions see.
func (s *Session) beginQuery(ctx context.Context, m modes, plan *queryplan.Plan, args []datum.Datum, at time.Time) (*queryplan.Env, error) {
	env := &queryplan.Env{Now: at, Statement: at, Session: s.environment(ctx)}
	if s.tx != nil {
		env.Now, s.queried = s.began, true
		if s.steady == 0 {
			s.tx.Begin(m.level())
		}
	}
	var err error
	env.Args, err = checkArgs(env, args, plan.Params)
	return env, err
}

// newRun is for a statement in the transaction that there is, or in none.
func (s *Session) newRun(env *queryplan.Env, at time.Time) *exec.Run {
	return &exec.Run{
		DB: s.server.cfg.DB, Lines: s.server.lines, Tx: s.tx, Writer: s.writer(), Level: s.current().level(), Info: s.info(at), Env: env,
		Waiting: exec.Waiting{Lock: s.settings.Duration("lock_timeout"), Deadlock: s.settings.Duration("deadlock_timeout"), Durable: s.block},
		Planted: s.server.cfg.Planted.exec(), Deferred: func(k cluster.Deferral) bool { return s.deferring.defers(k) },
		Tables: func(id cluster.ObjectID) (*catalog.Table, bool) { return s.scope().TableByID(id) },
	}
}

// queryTag is the command tag of a query that returned or changed n rows.
func queryTag(q *syntax.Query, n int64) string {
	switch {
	case q.Call:
		return "CALL"
	case q.Insert != nil:
		return "INSERT 0 " + strconv.FormatInt(n, 10)
	}
	return verb(q) + " " + strconv.FormatInt(n, 10)
}

func (s *Session) environment(ctx context.Context) *queryplan.Session {
	return &queryplan.Session{User: s.user, SessionUser: s.sessionUser(), Database: s.options.Database, Schema: s.currentSchema, TriggerDepth: s.fired, Location: s.style.Location, DateOrder: s.style.Order, PID: s.options.PID, Version: s.server.version, ClosedLag: s.server.cfg.ClosedLag(),
		Setting: func(name string) (string, bool) { return s.setting(strings.ToLower(name)) }, Set: s.setConfig,
		Sequence:       func(c queryplan.SequenceCall) (int64, error) { return s.sequence(ctx, c) },
		SerialSequence: s.serialSequence, Privilege: s.privilege,
		Notify:   s.notify,
		Advisory: func(a queryplan.Advisory) (bool, error) { return s.advisory(ctx, a) },
		Signal:   s.signaller(ctx),
		Call:     s.caller(ctx)}
}

// runPlan runs the plan and returns the number of rows.
func (s *Session) runPlan(ctx context.Context, plan *queryplan.Plan, run *exec.Run, out *output) (int64, error) {
	slow := func(ctx context.Context, in *exec.Run, p duck.Prepared, emit func([]datum.Datum) error) error {
		reader, err := in.Reader(ctx, nil)
		if err != nil {
			return err
		}
		return s.runSlow(ctx, reader, p, plan.Guards, emit)
	}
	switch {
	case plan.With != nil:
		return s.runWith(ctx, plan.With, run, out)
	case plan.Select != nil:
		reader, err := run.Reader(ctx, plan.Select)
		if err != nil {
			return 0, err
		}
		return reader.Select(ctx, plan.Select)
	case plan.Slow != nil:
		err := slow(ctx, run, plan.Slow, signalling(plan.Signals, run.Env, out.row))
		return out.rows, err
	case plan.Insert != nil:
		return run.Insert(ctx, plan.Insert, slow)
	case plan.Instead != nil:
		return run.Instead(ctx, plan.Instead, slow)
	case plan.Merge != nil:
		return run.Merge(ctx, plan.Merge, slow)
	case plan.Call != nil:
		return 0, s.callProcedure(ctx, plan.Call, run.Env, out)
	default:
		return run.Change(ctx, plan.Change, slow)
	}
}

// runSlow runs a plan of the slow path at one snapshot.
func (s *Session) runSlow(ctx context.Context, run *exec.Run, p duck.Prepared, guards map[queryplan.Guarded]queryplan.Expr, emit func([]datum.Datum) error) error {
	if err := run.Pin(ctx); err != nil {
		return err
	}
	args := run.Env.Args
	system := func(ctx context.Context, spec duck.ScanSpec) (duck.Scan, error) {
		if part, ok := spec.Table.Ref.(*queryplan.Part); ok {
			return duck.RowScan(spec, run.Held[part]), nil
		}
		return s.scanSystem(ctx, spec)
	}
	if c, ok := p.(*queryplan.Computing); ok {
		emit = c.Compute(run.Env, emit)
		var rows map[any][][]datum.Datum
		var err error
		if args, rows, err = c.Before(run.Env, s.rowsOf(ctx, run)); err != nil {
			return err
		}
		others := system
		system = func(ctx context.Context, spec duck.ScanSpec) (duck.Scan, error) {
			if held, ok := rows[spec.Table.Ref]; ok {
				return duck.RowScan(spec, held), nil
			}
			return others(ctx, spec)
		}
	}
	source := &exec.Source{Run: run, Guards: guards, Session: s.guardSession(run.Env.Session), System: system}
	return p.Execute(ctx, duck.Execution{Args: args, Source: source, Now: run.Env.Now}, emit)
}

// Teller is a RowSink that may tell the columns itself.
type Teller interface {
	// Tells reports whether the columns are told with the rows, and were not before.
	Tells() bool
}

// PlanChanged is the message of a statement that would give other columns than its client was told of.
const PlanChanged = "cached plan must not change result type"

// refreshed is the plan of p, or a new one if that does not hold any more. A client that
// was told of the columns before gets no others.
func (s *Session) refreshed(ctx context.Context, p *Prepared, q *syntax.Query, sink RowSink) (*Prepared, error) {
	if s.holds(p) {
		return p, nil
	}
	fresh := &Prepared{statement: p.statement, announced: p.announced}
	if now := s.basis(p); p.settled == nil && (now.timeZone != p.readIn || now.order != p.read.Order) {
		p.settled = s.settled(s.scope(), p, p.query(q), &p.read)
	}
	q = cmp.Or(p.settled, q)
	if err := s.prepareQuery(ctx, fresh, q); err != nil {
		return nil, err
	}
	if !slices.Equal(fresh.ParamOIDs, p.ParamOIDs) || !slices.EqualFunc(fresh.Columns, p.Columns, sameType) {
		if t, ok := sink.(Teller); ok && t.Tells() && len(fresh.ParamOIDs) == 0 {
			return fresh, nil
		}
		return nil, &Error{Code: "0A000", Message: PlanChanged, Hint: "Prepare the statement again."}
	}
	p.plan, p.resolved, p.basis, p.asked, p.found, p.searchPath = fresh.plan, fresh.resolved, fresh.basis, fresh.asked, fresh.found, fresh.searchPath
	return p, nil
}

func sameType(a, b Column) bool { return a.Name == b.Name && a.OID == b.OID }

// checkArgs brings the arguments to the types of the parameters.
func checkArgs(env *queryplan.Env, args []datum.Datum, types []datum.Type) ([]datum.Datum, error) {
	if len(args) != len(types) {
		return nil, &Error{Code: "08P01", Message: fmt.Sprintf("statement needs %d parameters, %d were given", len(types), len(args))}
	}
	copied := false // the arguments may be used again
	for i := range args {
		if args[i].Type == types[i] {
			continue
		}
		v, err := queryplan.Assign(env, args[i], types[i], -1)
		if err != nil {
			return nil, fmt.Errorf("parameter $%d: %w", i+1, err)
		}
		if !copied {
			args, copied = slices.Clone(args), true
		}
		args[i] = v
	}
	return args, nil
}
