package metastate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// records is an engine in memory.
type records map[string][]byte

func (r records) Set(key, value []byte) error {
	r[string(key)] = bytes.Clone(value)
	return nil
}

func (r records) Delete(key []byte) error {
	delete(r, string(key))
	return nil
}

func (r records) reload(t testing.TB) *Machine {
	t.Helper()
	m := New()
	sorted := slices.Sorted(maps.Keys(r))
	err := m.load(func() (key, value []byte, err error) {
		if len(sorted) == 0 {
			return nil, nil, nil
		}
		k := sorted[0]
		sorted = sorted[1:]
		return []byte(k), r[k], nil
	})
	if err != nil {
		t.Fatalf("reload: %v", err)
	}
	return m
}

// tester applies commands one second apart.
type tester struct {
	*Machine
	store records
	index uint64
	clock time.Time
}

func newTester() *tester {
	return &tester{Machine: New(), store: records{}, index: 10, clock: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

func (m *tester) do(t testing.TB, command []byte) Result {
	t.Helper()
	m.index++
	m.clock = m.clock.Add(time.Second)
	out, err := m.apply(m.store, m.index, hlc.New(m.clock), command)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	res, err := DecodeResult(out)
	if err != nil {
		t.Fatalf("decode the result: %v", err)
	}
	if got, want := dump(t, m.store.reload(t).View()), dump(t, m.View()); got != want {
		t.Fatalf("view after reload differs (invariant 3)\n got %s\nwant %s", got, want)
	}
	return res
}

// refuses applies a command that this binary does not know: it must say so and
// leave everything as it was.
func (m *tester) refuses(t testing.TB, command []byte) bool {
	t.Helper()
	if _, err := DecodeCommand(command, gate.Binary()); err == nil {
		return false
	}
	before := m.View()
	if _, err := m.apply(m.store, m.index+1, hlc.New(m.clock), command); !errors.Is(err, gate.ErrNewer) || m.View() != before {
		t.Fatalf("%q was applied: %v", command, err)
	}
	return true
}

func (m *tester) command(t testing.TB, c Command) Result {
	t.Helper()
	b, err := EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	return m.do(t, b)
}

// dump shows everything of a view, its unexported parts too.
func dump(t testing.TB, v *View) string {
	t.Helper()
	b, err := json.Marshal(struct {
		*View
		Next  counters
		Spans []*cluster.RangeDescriptor
	}{v, v.next, append([]*cluster.RangeDescriptor{}, v.spans...)})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func initCommand() Command {
	return Command{By: "init", Via: "agent", InitCluster: &InitCluster{
		ClusterID: "c-1", Name: "test", CACert: "PEM",
		Node: cluster.Node{ID: 1, UUID: "uuid-1", Version: "v0.1.0"},
		Ranges: []cluster.RangeDescriptor{
			{ID: 1, Generation: 1, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}},
			{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(512).Key(), Generation: 1, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}},
			{ID: 3, Start: cluster.VShard(512).Key(), End: cluster.VShard(1024).Key(), Generation: 1, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}},
		},
		Users:  []PutUser{{Name: "root", Verifier: "SCRAM", AdminRole: "admin"}},
		Tokens: []CreateToken{{ID: "t0", Owner: "root", Role: "admin", Hash: []byte{1}}},
	}}
}

// TestCommands runs the stories in testdata. "do" applies the JSON commands of
// its input, one a line; "sleep d" lets time pass; "show what" prints a part
// of the view; "init" makes a cluster of one node and "nodes n" gives it more.
func TestCommands(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := newTester()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "init":
				return outcome(m.command(t, initCommand()))
			case "do":
				var out string
				for line := range bytes.Lines([]byte(d.Input)) {
					command := append([]byte{formatVersion}, bytes.TrimSpace(line)...)
					if m.refuses(t, command) {
						out += "the replica stops\n"
						m.index++
						m.clock = m.clock.Add(time.Second)
						continue
					}
					out += outcome(m.do(t, command))
				}
				return out
			case "sleep":
				dur, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				m.clock = m.clock.Add(dur)
				return ""
			case "show":
				return show(m.View(), d.CmdArgs[0].Key)
			}
			d.Fatalf(t, "unknown directive %s", d.Cmd)
			return ""
		})
	})
}

func outcome(r Result) string {
	switch {
	case r.Refusal != nil:
		s := fmt.Sprintf("%s: %s", r.Refusal.Code, r.Refusal.Message)
		if r.Refusal.Operation != "" {
			s += " [" + r.Refusal.Operation + "]"
		}
		return s + "\n"
	case r.Batch != nil:
		var s string
		for _, part := range r.Batch {
			s += "  " + outcome(part)
		}
		return "batch\n" + s
	}
	s := "ok"
	if r.Existed {
		s = "existed"
	}
	if r.Node != 0 {
		s += " " + r.Node.String()
	}
	if r.Object != 0 {
		s += fmt.Sprintf(" object %d", r.Object)
	}
	if r.Pool != nil {
		s += fmt.Sprintf(" pool %d version %d", r.Pool.ID, r.Pool.Version)
	}
	if r.Operation != nil {
		s += fmt.Sprintf(" %s %s", r.Operation.ID, r.Operation.State)
	}
	return s + "\n"
}

func show(v *View, what string) string {
	var out string
	line := func(format string, args ...any) { out += fmt.Sprintf(format+"\n", args...) }
	switch what {
	case "cluster":
		line("%s %q index=%d schema=%d settings=%v", v.ClusterID, v.ClusterName, v.Index, v.SchemaVersion, v.Settings)
	case "version":
		line("active %d, without 2: %v, unpromised: %v", v.Active, v.Without(2), v.Unpromised())
		if r := v.Raising; r != nil {
			line("raising to %d since %d by %s, promised by %v", r.To, r.Index, r.Operation, r.Promised)
		}
	case "nodes":
		for _, id := range v.NodeIDs() {
			n := v.Nodes[id]
			line("%s %s %s %s cordon=%v joined=%s", n.ID, n.Name, n.UUID, n.Membership, n.Cordon, n.JoinedAt.Format(time.TimeOnly))
			if n.Tombstone != nil {
				line("  tombstone by %s for %s: %s", n.Tombstone.By, n.Tombstone.Operation, n.Tombstone.Reason)
			}
		}
	case "ranges":
		for _, id := range v.RangeIDs() {
			d := v.Ranges.Get(id)
			line("%s %s generation=%d replicas=%v", d.ID, d.Span(), d.Generation, d.Replicas)
		}
	case "operations":
		for _, id := range v.OperationIDs() {
			o := v.Operations[id]
			line("%s %s %v %s by=%s term=%d why=%q", o.ID, o.Spec.Kind, o.Spec.Nodes, o.State, o.RequestedBy, o.CoordinatorTerm, o.Why)
			if o.Rate() > 0 {
				line("  rate %d of the nodes %d", o.Rate(), v.SnapshotRate())
			}
		}
	case "objects":
		for _, id := range slices.Sorted(maps.Keys(v.Objects)) {
			o := v.Objects[id]
			line("%d %s %s in %d version=%d owner=%s", id, o.Kind, o.Name, o.Parent, o.Version, o.Owner)
		}
		for _, id := range slices.Sorted(maps.Keys(v.Dropped)) {
			line("dropped %d %s", id, v.Dropped[id].Object.Name)
		}
		for _, id := range slices.Sorted(maps.Keys(v.Pending)) {
			line("pending %s of %s", id, v.Pending[id].By)
		}
	case "pools":
		for _, id := range v.PoolIDs() {
			p := v.Pools[id]
			line("%d %s version=%d %s: %s seeds=%v", id, p.Name, p.Version, p.State, p.Text(), p.Seeds)
		}
		for _, id := range slices.Sorted(maps.Keys(v.Removed)) {
			line("removed %s of pool %d on %v", id, v.Removed[id].Pool, v.Removed[id].Nodes)
		}
	case "events":
		for _, e := range v.Events {
			line("%d %s %s %s by=%q", e.Sequence, e.Time.Format(time.TimeOnly), e.Kind, e.Text, e.By)
		}
	case "access":
		for _, id := range slices.Sorted(maps.Keys(v.Users)) {
			line("user %s %s", id, v.Users[id].AdminRole)
		}
		for _, id := range slices.Sorted(maps.Keys(v.Tokens)) {
			line("token %s %s of %s by %q revoked=%v", id, v.Tokens[id].Role, v.Tokens[id].Owner, v.Tokens[id].CreatedBy, !v.Tokens[id].RevokedAt.IsZero())
		}
		for _, id := range slices.Sorted(maps.Keys(v.JoinTokens)) {
			line("join token %s uses=%d/%d revoked=%v", id, len(v.JoinTokens[id].Consumed), v.JoinTokens[id].Uses, !v.JoinTokens[id].RevokedAt.IsZero())
		}
	}
	return out
}

func TestRangeOf(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	for vshard, want := range map[cluster.VShard]cluster.RangeID{0: 2, 511: 2, 512: 3, 1023: 3} {
		if d, ok := m.View().RangeOf(cluster.DefaultPool, vshard.Key()); !ok || d.ID != want {
			t.Errorf("RangeOf(%d) = %v, want %s", vshard, d, want)
		}
	}
	for _, p := range []Place{{cluster.DefaultPool, lastBound}, {1, firstBound}} {
		if d, ok := m.View().RangeOf(p.Pool, p.Key); ok {
			t.Errorf("RangeOf(%s) = %v, want none", p, d)
		}
	}
}

// TestOldViewStays holds a view over later commands: it must not change.
func TestOldViewStays(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	old := m.View()
	before := dump(t, old)
	m.command(t, Command{SetCordon: &SetCordon{Node: 1, Cordon: true}})
	m.command(t, Command{SetSetting: &SetSetting{Name: SettingDeadAfter, Value: "1m"}})
	m.command(t, Command{PutUser: &PutUser{Name: "u"}})
	if after := dump(t, old); after != before {
		t.Errorf("a published view changed\nbefore %s\n after %s", before, after)
	}
}

func TestSubscribeAndWatch(t *testing.T) {
	m := newTester()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watch := m.Watch(ctx)
	var seen []uint64
	cancel := m.Subscribe(func(v *View) { seen = append(seen, v.Index) })
	m.command(t, initCommand())
	m.command(t, Command{SetCordon: &SetCordon{Node: 1, Cordon: true}})
	cancel()
	m.command(t, Command{SetCordon: &SetCordon{Node: 1}})
	if want := []uint64{11, 12}; !slices.Equal(seen, want) {
		t.Errorf("subscriber saw %v, want %v", seen, want)
	}
	select {
	case <-watch:
	default:
		t.Error("the watch holds no signal")
	}
}

func TestValidateSetting(t *testing.T) {
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"replication_factor", "3", false}, // pools have replicas
		{SettingDeadAfter, "30s", true}, {SettingDeadAfter, "soon", false},
		{SettingSnapshotRate, "33554432", true}, {SettingSnapshotRate, "1", false},
		{SettingCAKey, "offline", true}, {SettingCAKey, "n1", false},
		{"unheard_of", "1", false},
	} {
		if err := ValidateSetting(c.name, c.value); (err == nil) != c.ok {
			t.Errorf("ValidateSetting(%s, %s) = %v, want ok=%v", c.name, c.value, err, c.ok)
		}
	}
}

// TestOverEngine applies commands through real batches and reloads from disk.
func TestOverEngine(t *testing.T) {
	engine, err := storage.Open(storage.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := New()
	for i, c := range []Command{
		initCommand(),
		{PutUser: &PutUser{Name: "alice"}},
		{DropUser: &DropUser{Name: "root"}},
		{SetSetting: &SetSetting{Name: SettingGCTTL, Value: "2h"}},
	} {
		b, err := EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		batch := engine.NewBatch()
		if _, err := m.Apply(batch, nil, uint64(i+1), hlc.Timestamp(i+1), b); err != nil {
			t.Fatal(err)
		}
		if err := batch.Commit(false); err != nil {
			t.Fatal(err)
		}
	}
	again := New()
	if err := again.Reload(engine, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := dump(t, again.View()), dump(t, m.View()); got != want {
		t.Errorf("after reload\n got %s\nwant %s", got, want)
	}
}

// TestUsersKeepTheirNumbers: a number stands for one user for ever.
func TestUsersKeepTheirNumbers(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	number := func(name string) cluster.WriterID { return m.View().Users[name].Number }
	m.command(t, Command{PutUser: &PutUser{Name: "amy"}})
	m.command(t, Command{ChangeUser: &ChangeUser{Name: "ben", Create: true}})
	root, amy, ben := number("root"), number("amy"), number("ben")
	if root != cluster.FirstUser || amy != root+1 || ben != amy+1 {
		t.Errorf("root, amy and ben have %d, %d, %d", root, amy, ben)
	}
	m.command(t, Command{PutUser: &PutUser{Name: "amy", AdminRole: "viewer"}})
	m.command(t, Command{ChangeUser: &ChangeUser{Name: "ben", AdminRole: new("viewer")}})
	if number("amy") != amy || number("ben") != ben {
		t.Error("a change of a user changed the number")
	}
	m.command(t, Command{DropUser: &DropUser{Name: "ben"}})
	m.command(t, Command{PutUser: &PutUser{Name: "ben"}})
	if number("ben") != ben+1 {
		t.Errorf("the next ben has %d, the first had %d", number("ben"), ben)
	}
}
