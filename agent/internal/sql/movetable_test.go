package sql

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
)

// makePool makes a pool that is ready.
func (f *fixture) makePool(name string) {
	f.t.Helper()
	do := func(c metastate.Command) metastate.Result {
		r, err := f.meta.Propose(f.t.Context(), c)
		if err != nil {
			f.t.Fatal(err)
		}
		return r
	}
	p := do(metastate.Command{CreatePool: &metastate.CreatePool{Name: name, Spec: cluster.PoolSpec{Replicas: 3}, Nodes: []cluster.NodeID{1}}}).Pool
	d := cluster.RangeDescriptor{ID: p.Seeds[0].Range, Pool: p.ID, Start: cluster.VShard(0).Key(), End: cluster.VShard(cluster.VShards).Key(), Generation: 1, NextReplica: 2,
		Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}}
	do(metastate.Command{UpdateRanges: &metastate.UpdateRanges{Descriptors: []cluster.RangeDescriptor{d}}})
	do(metastate.Command{ReadyPool: &metastate.ReadyPool{Pool: p.ID}})
}

// poolOf is the pool of a table.
func (f *fixture) poolOf(name string) string {
	view := f.meta.View()
	for _, o := range view.Collections() {
		if o.Name == name {
			return view.PoolName(o.Collection.Pool)
		}
	}
	return ""
}

// TestSetPool: a table is where it was moved to, as it was, and what is not possible is
// said.
func TestSetPool(t *testing.T) {
	f := newFixture(t, nil)
	f.makePool("hot")
	c := f.open()
	c.steps([][2]string{
		{"create table p (id int primary key, a text unique)", "CREATE TABLE"},
		{"create table t (id serial primary key, a int references p (id) on delete cascade, b text unique, check (a < 10))", "CREATE TABLE"},
		{"insert into p values (1, 'x'), (2, 'y')", "INSERT 0 2"},
		{"insert into t (a, b) values (1, 'one'), (2, 'two'), (1, null)", "INSERT 0 3"},
		{"create index i on t (a, b desc)", "CREATE INDEX"},
		{"create view v as select b from t where a = 1", "CREATE VIEW"},
		{"alter table t set pool cold", `42704 there is no pool "cold": default, hot`},
		{"alter table missing set pool hot", `42P01 relation "missing" does not exist`},
		{"alter table if exists missing set pool hot", "ALTER TABLE"},
		{"alter table v set pool hot", `42809 "v" is not a table`},
		{"alter table t set pool", "42601 syntax error at end of input"},
		{"alter table t set pool hot, add column c int", `42601 syntax error at or near ","`},
		{"alter table t set (pool = hot), add column c int", "0A000 SET POOL together with other changes of a table is not supported"},
		{"begin", "BEGIN"},
		{"alter table t set pool hot", "25001 ALTER TABLE ... SET POOL cannot run inside a transaction block"},
		{"rollback", "ROLLBACK"},
		{"alter table t set pool hot", "ALTER TABLE"},
		{"alter table t set pool hot", "ALTER TABLE"},
		{"alter table public.p set (pool = 'hot')", "ALTER TABLE"},
		{"select id, a, b from t order by id", "1|1|one\n2|2|two\n3|1|NULL\nSELECT 3"},
		{"select id from t where b = 'two'", "2\nSELECT 1"},
		{"select count(*) from t where a = 1", "2\nSELECT 1"},
		{"insert into t (a, b) values (1, 'two')", `23505 duplicate key value violates unique constraint "t_b_key" / Key (b)=(two) already exists.`},
		{"insert into t (a, b) values (11, 'z')", `23514 new row for relation "t" violates check constraint "t_a_check" / Failing row contains (5, 11, z).`},
		{"insert into t (a, b) values (3, 'z')", `23503 insert or update on table "t" violates foreign key constraint "t_a_fkey" / Key (a)=(3) is not present in table "p".`},
		{"delete from p where id = 2", "DELETE 1"},
		{"select count(*) from t", "2\nSELECT 1"},
		{"alter table p set pool default", "ALTER TABLE"},
		{"alter table p set pool hot", "ALTER TABLE"},
		{"create index j on t (b)", "CREATE INDEX"},
		{"alter table t drop constraint t_b_key", "ALTER TABLE"},
		{"truncate t", "TRUNCATE TABLE"},
		{"begin", "BEGIN"},
		{"create table n (id int primary key)", "CREATE TABLE"},
		{"alter table n set pool hot", "ALTER TABLE"},
		{"insert into n values (1)", "INSERT 0 1"},
		{"savepoint s", "SAVEPOINT"},
		{"alter table n set pool default", "0A000 ALTER TABLE ... SET POOL of a table that this transaction has made and written to is not supported"},
		{"rollback to s", "ROLLBACK"},
		{"commit", "COMMIT"},
		{"select * from n", "1\nSELECT 1"},
	}...)
	checkIndexes(t, f, "t")
	checkIndexes(t, f, "p")
	for _, name := range []string{"t", "p", "n"} {
		if got := f.poolOf(name); got != "hot" {
			t.Errorf("%s is in pool %q", name, got)
		}
	}
	for _, op := range f.meta.View().Operations {
		if !op.State.Final() {
			t.Errorf("the operation is %+v", op)
		}
	}
	c.want("DROP TABLE", "drop table p cascade")
	c.want("DROP TABLE", "drop table n")
	alive := map[cluster.ObjectID]bool{}
	for _, o := range f.meta.View().Collections() {
		for _, id := range o.StoredIDs() {
			alive[id] = true
		}
	}
	for key := range f.db.snapshot() {
		var id cluster.ObjectID
		if _, err := fmt.Sscanf(key, "%d/", &id); err == nil && !alive[id] && f.meta.View().Dropped[id] == nil {
			t.Errorf("nobody will collect what is stored under %d", id)
		}
	}
}

// TestMoveWhileRowsChange: nothing is lost or twice, whoever writes or reads in any phase.
func TestMoveWhileRowsChange(t *testing.T) {
	if found := moveModel(t, 10, toPools, nil); found != nil {
		t.Error(found)
	}
}

// moved is a table that is moved while it changes, and what it has to hold.
type moved struct {
	f    *fixture
	rnd  *rand.Rand
	want map[int]string
}

// change has a client change a row or two, and what the table has to hold with it.
func (m *moved) change(c *client) error {
	next := maps.Clone(m.want)
	var texts []string
	block := m.rnd.IntN(3) == 0
	for range 1 + m.rnd.IntN(2) {
		id, a := m.rnd.IntN(12), fmt.Sprint(m.rnd.IntN(1000))
		_, there := next[id]
		switch m.rnd.IntN(4) {
		case 0:
			texts = append(texts, fmt.Sprintf("delete from t where id = %d", id))
			delete(next, id)
		case 1:
			texts = append(texts, fmt.Sprintf("update t set a = %s, c = '%[1]s', d = d + 1 where id = %d", a, id))
			if there {
				next[id] = a
			}
		case 2:
			texts = append(texts, fmt.Sprintf("insert into t values (%d, %s, 0, '%[2]s') on conflict (id) do update set a = excluded.a, c = excluded.c", id, a))
			next[id] = a
		default:
			if there {
				continue
			}
			texts = append(texts, fmt.Sprintf("insert into t values (%d, %s, 0, '%[2]s')", id, a))
			next[id] = a
		}
		if !block {
			break
		}
	}
	if block {
		texts = slices.Concat([]string{"begin"}, texts, []string{"commit"})
	}
	for _, text := range texts {
		got := c.run(text)
		switch {
		case strings.HasPrefix(got, "40001"):
			c.run("rollback")
			return nil
		case len(got) > 5 && got[5] == ' ' && !strings.HasPrefix(got, "INSERT") && !strings.HasPrefix(got, "UPDATE") && !strings.HasPrefix(got, "DELETE"):
			c.run("rollback")
			return fmt.Errorf("%s: %s", text, got)
		}
	}
	m.want = next
	return nil
}

// look compares what a client finds with what there is, by the rows and by an index.
func (m *moved) look(c *client) error {
	for _, query := range []string{"select id, a from t order by id", "select id, a from t where a >= 0", "select id, c from t"} {
		var lines []string
		for _, id := range slices.Sorted(maps.Keys(m.want)) {
			lines = append(lines, fmt.Sprintf("%d|%s\n", id, m.want[id]))
		}
		want := strings.Join(lines, "") + fmt.Sprintf("SELECT %d", len(lines))
		if got := c.sorted(query); got != sortedLines(want) {
			return fmt.Errorf("%s finds\n%s, want\n%s", query, got, want)
		}
	}
	return nil
}

// toPools and toTypes move a table to and fro.
var (
	toPools = []string{"set pool hot", "set pool default", "set pool hot"}
	toTypes = []string{"alter c type text", "alter c type int using c::int", "alter c type numeric(9,0), alter b type text"}
)

// moveModel moves a table to and fro while it changes, until something is not as it has to
// be. set plants a fault.
func moveModel(t *testing.T, rounds int, steps []string, set func(*fixture)) error {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range rounds {
		f := newFixture(t, nil)
		m := &moved{f: f, rnd: rand.New(rand.NewPCG(seed, uint64(round))), want: map[int]string{}}
		f.server.schemaRows = 1 + m.rnd.IntN(8)
		if set != nil {
			set(f)
		}
		f.makePool("hot")
		c := f.open()
		c.run("create table t (id int primary key, a int, b int, c int, d int)")
		c.run("create index on t (a) include (d)")
		for id := range 8 {
			c.run(fmt.Sprintf("insert into t values (%d, %d, 0, %[2]d)", id, id))
			m.want[id] = fmt.Sprint(id)
		}
		if err := m.round(c, steps); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// closed reports whether the old place is closed: who writes waits for the one that raises.
func (m *moved) closed() bool {
	m.f.db.mu.Lock()
	defer m.f.db.mu.Unlock()
	return slices.ContainsFunc(m.f.meta.View().Collections(), func(o *cluster.Object) bool {
		return o.Collection.Move != nil && m.f.db.closed[o.RowsID()] != 0
	})
}

func (m *moved) round(c *client, steps []string) error {
	f := m.f
	writer, snapshot := f.open(), f.open()
	late, lateMeta := f.behind(true)
	reader, readerMeta := f.behind(true)
	busy, wrong := false, error(nil)
	write := func() {
		if busy || wrong != nil || m.closed() {
			return
		}
		busy = true
		defer func() { busy = false }()
		if m.rnd.IntN(4) == 0 {
			lateMeta.view = f.meta.View() // it hears
		}
		if m.rnd.IntN(3) == 0 {
			readerMeta.view = f.meta.View()
		}
		for range m.rnd.IntN(6) {
			who := writer
			if m.rnd.IntN(2) == 0 {
				who = late
			}
			if wrong = m.change(who); wrong != nil {
				return
			}
		}
	}
	looks := func(op *cluster.Operation) {
		write()
		for _, who := range []*client{writer, reader} {
			if closing := f.meta.View().NoWayBack(&op.Spec); wrong == nil && !closing {
				wrong = m.look(who)
			}
		}
	}
	f.coordinator.before = looks
	f.db.beforeFill, f.db.beforeRaise = write, write
	for _, step := range steps {
		snapshot.run("begin isolation level repeatable read")
		seen := snapshot.run("select id, a from t order by id")
		if got := c.run("alter table t " + step); got != "ALTER TABLE" {
			return fmt.Errorf("%s: %s", step, got)
		}
		pool, moves := strings.CutPrefix(step, "set pool ")
		if got := snapshot.run("select id, a from t order by id"); got != seen && (moves || !strings.HasPrefix(got, "40001")) && wrong == nil {
			wrong = fmt.Errorf("a snapshot from before finds\n%s, want\n%s", got, seen)
		}
		snapshot.run("rollback")
		write()
		for _, who := range []*client{writer, late, reader} {
			if wrong == nil {
				wrong = m.look(who)
			}
		}
		if wrong != nil {
			return wrong
		}
		if err := f.indexFaults("t"); err != nil {
			return err
		}
		if got := f.poolOf("t"); moves && got != pool {
			return fmt.Errorf("it is in pool %q, not %q", got, pool)
		}
	}
	return nil
}

// TestMoveIsTakenBack: one that is cancelled in any phase leaves the table where it was,
// until there is no way back.
func TestMoveIsTakenBack(t *testing.T) {
	for _, phase := range []string{operation.PhaseFence, operation.PhaseMaintain, operation.PhaseCopy, operation.PhaseCompare, operation.PhaseSwitch} {
		f := newFixture(t, nil)
		f.makePool("hot")
		c := f.open()
		c.run("create table t (id int primary key, a int unique)")
		c.run("insert into t values (1, 1)")
		f.coordinator.before = func(op *cluster.Operation) {
			if op.Phase == phase && op.State != cluster.OpCancelling {
				if _, err := f.meta.Propose(context.Background(), metastate.Command{RequestCancel: &metastate.RequestCancel{ID: op.ID}}); err != nil {
					t.Error(err)
				}
				*op = *f.meta.View().Operations[op.ID]
			}
		}
		if got := c.run("alter table t set pool hot"); !strings.HasPrefix(got, "57014 op-") {
			t.Errorf("in %s: who is cancelled is told %s", phase, got)
		}
		f.coordinator.before = nil
		c.want("INSERT 0 1", "insert into t values (2, 2)")
		c.want("2\nSELECT 1", "select id from t where a = 2")
		if got := f.poolOf("t"); got != "default" {
			t.Errorf("in %s: the table is in pool %q", phase, got)
		}
		if got := len(f.meta.View().Dropped); got != 2 {
			t.Errorf("in %s: %d places are to be cleared, want 2", phase, got)
		}
		c.want("ALTER TABLE", "alter table t set pool hot")
		checkIndexes(t, f, "t")
	}
}

// TestChangesOfAMovedTable: what would not be moved is refused while it is, and TRUNCATE
// and DROP end the move.
func TestChangesOfAMovedTable(t *testing.T) {
	for _, end := range []string{"truncate t", "drop table t", ""} {
		f := newFixture(t, nil)
		f.makePool("hot")
		c, other := f.open(), f.open()
		c.run("create table t (id int primary key, a int unique)")
		c.run("insert into t values (1, 1)")
		const moving = `55006 table "t" is being moved to another pool`
		f.coordinator.before = func(op *cluster.Operation) {
			if op.Phase != operation.PhaseCompare {
				return
			}
			f.coordinator.before = nil
			other.want(moving, "create index on t (id, a)")
			other.want(moving, "alter table t add constraint x unique (id, a)")
			other.want(moving, "alter table t drop constraint t_a_key")
			other.want(moving, "alter table t set pool default")
			other.want(moving, "alter table t alter a set not null")
			other.want("ALTER TABLE", "alter table t add column b int default 7")
			other.want("INSERT 0 1", "insert into t values (2, 2, 8)")
			if end != "" {
				other.run(end)
			}
		}
		c.want("ALTER TABLE", "alter table t set pool hot")
		switch end {
		case "truncate t":
			c.want("0\nSELECT 1", "select count(*) from t")
			if got := f.poolOf("t"); got != "hot" {
				t.Errorf("it is in pool %q", got)
			}
		case "":
			c.want("1|1|7\n2|2|8\nSELECT 2", "select * from t order by id")
		}
	}
}
