package placement_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// TestStories runs the files of testdata: a cluster is described, something is
// asked of it, and the plan is carried out step by step.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		st := &story{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			st.t = t
			return st.run(d)
		})
	})
}

type story struct {
	t    *testing.T
	s    placement.Snapshot
	plan placement.Plan
}

func (st *story) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "cluster":
		return st.cluster(d)
	case "set":
		return st.set(d)
	case "show":
		return show(&st.s)
	case "safe":
		return st.safe(d)
	case "stop":
		v := placement.SafeToStop(&st.s, nodesOf(d))
		return verdict(&v)
	case "reset":
		v := placement.SafeToReset(&st.s, nodesOf(d)[0])
		return verdict(&v)
	case "largest":
		return fmt.Sprintln(placement.LargestSafe(&st.s, nodesOf(d)))
	case "survive":
		return survival(placement.Survive(&st.s))
	case "symptoms":
		return fmt.Sprintf("misplaced %v, crowded %v\n", st.s.Misplaced(), st.s.Crowded())
	case "plan":
		return st.makePlan(d)
	case "carry":
		return st.carry(d)
	case "explain":
		return explain(placement.Explain(&st.s, parseRange(st.t, d.CmdArgs[0].Key), placement.Intent{}))
	}
	st.t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

// cluster nodes=4 ranges=8 rf=3 on=3: nodes n1.., data ranges spread over the
// first `on` nodes, and a meta range.
func (st *story) cluster(d *datadriven.TestData) string {
	nodes, ranges, rf, on, size, disk := 3, 4, 3, 0, 100, 0
	d.MaybeScanArgs(st.t, "nodes", &nodes)
	d.MaybeScanArgs(st.t, "ranges", &ranges)
	d.MaybeScanArgs(st.t, "rf", &rf)
	on = nodes
	d.MaybeScanArgs(st.t, "on", &on)
	d.MaybeScanArgs(st.t, "bytes", &size)
	d.MaybeScanArgs(st.t, "disk", &disk)
	st.s = *build(nodes, ranges, rf, on, uint64(size)<<20)
	for i := range st.s.Nodes {
		st.s.Nodes[i].DiskTotal = uint64(disk) << 20
		st.s.Nodes[i].DiskUsed = st.s.Nodes[i].Bytes
	}
	return show(&st.s)
}

func build(nodes, ranges, rf, on int, size uint64) *placement.Snapshot {
	s := &placement.Snapshot{MetaIndex: 100, Pools: []cluster.Pool{{Name: cluster.DefaultPoolName, PoolSpec: cluster.PoolSpec{Replicas: rf}}}}
	for i := 1; i <= nodes; i++ {
		s.Nodes = append(s.Nodes, placement.Node{
			ID: cluster.NodeID(i), Membership: cluster.Active, Liveness: cluster.Alive, Service: cluster.Ready, Reported: true, Version: "v1",
		})
	}
	meta := placement.Range{Descriptor: cluster.RangeDescriptor{ID: cluster.MetaRangeID, Generation: 1, NextReplica: 1}, Leader: 1, Bytes: 1 << 20}
	voters := map[bool]int{true: 3, false: 1}[on >= 3]
	if on >= 5 {
		voters = 5
	}
	for i := 1; i <= on; i++ {
		role := cluster.Learner
		if i <= voters {
			role = cluster.Voter
		}
		addReplica(&meta, cluster.NodeID(i), role)
	}
	s.Ranges = append(s.Ranges, meta)
	for i := range ranges {
		r := placement.Range{Descriptor: cluster.RangeDescriptor{
			ID: cluster.RangeID(i + 2), Start: cluster.VShard(i).Key(), End: cluster.VShard(i + 1).Key(), Generation: 1, NextReplica: 1,
		}, Bytes: size}
		for k := range min(rf, on) {
			n, role := cluster.NodeID((i+k)%on+1), cluster.Voter
			if on == 2 {
				n = cluster.NodeID(k + 1) // the first node has the only vote
			}
			if k == min(rf, on)-1 && k%2 == 1 {
				role = cluster.Learner
			}
			addReplica(&r, n, role)
			s.Node(n).Bytes += size
		}
		r.Leader = r.Descriptor.Replicas[0].Node
		s.Ranges = append(s.Ranges, r)
	}
	return s.Sort()
}

func addReplica(r *placement.Range, n cluster.NodeID, role cluster.ReplicaRole) {
	d := &r.Descriptor
	d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: n, Replica: d.NextReplica, Role: role})
	d.NextReplica++
	r.Caught = append(r.Caught, n)
}

// set n3 dead down=400 | set n3 cordon | set n4 draining | set r2 leader=n1 | set r2 behind=n3 ...
func (st *story) set(d *datadriven.TestData) string {
	for line := range strings.Lines(d.Input) {
		words := strings.Fields(line)
		if words[0] == "pool" {
			st.setPool(words[1:])
			continue
		}
		if words[0] == "busy" {
			st.s.Busy = append(st.s.Busy, parseNode(words[1]))
			continue
		}
		if strings.HasPrefix(words[0], "r") {
			id, err := cluster.ParseRangeID(words[0])
			if err != nil {
				st.t.Fatal(err)
			}
			st.setRange(st.s.Range(id), words[1:])
			continue
		}
		st.setNode(st.s.Node(parseNode(words[0])), words[1:])
	}
	return show(&st.s)
}

func (st *story) setNode(n *placement.Node, words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "alive", "suspect", "dead", "left":
			n.Liveness = cluster.Liveness(key)
			n.DownFor = map[bool]float64{true: 0, false: 1}[key == "alive"]
		case "joining", "active", "decommissioning", "decommissioned":
			n.Membership = cluster.Membership(key)
		case "ready", "draining", "drained", "stopping", "starting":
			n.Service = cluster.Service(key)
		case "ca-key":
			n.CAKey = true
		case "at":
			n.Locality = locality(strings.ReplaceAll(value, ":", "="))
		case "cordon":
			n.Cordon = true
		case "uncordon":
			n.Cordon = false
		case "silent":
			n.Reported = false
		case "down":
			n.DownFor, _ = strconv.ParseFloat(value, 64)
		case "cpu":
			n.CPU, _ = strconv.ParseFloat(value, 64)
		case "used":
			mib, _ := strconv.ParseUint(value, 10, 64)
			n.DiskUsed = mib << 20
		default:
			st.t.Fatalf("set node: unknown word %q", w)
		}
	}
}

func (st *story) setRange(r *placement.Range, words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "leader":
			r.Leader = parseNode(value)
		case "pool":
			id, _ := strconv.ParseUint(value, 10, 8)
			r.Descriptor.Pool = cluster.PoolID(id)
		case "reads":
			r.Reads, _ = strconv.ParseFloat(value, 64)
		case "writes":
			r.Writes, _ = strconv.ParseFloat(value, 64)
		case "bytes":
			mib, _ := strconv.ParseUint(value, 10, 64)
			r.Bytes = mib << 20
		case "behind":
			r.Caught = slices.DeleteFunc(r.Caught, func(n cluster.NodeID) bool { return n == parseNode(value) })
		case "failed":
			r.Failed = append(r.Failed, parseNode(value))
		case "learner", "voter", "incoming", "outgoing":
			role := cluster.ReplicaRole(key)
			if i := slices.IndexFunc(r.Descriptor.Replicas, func(x cluster.ReplicaDescriptor) bool { return x.Node == parseNode(value) }); i >= 0 {
				r.Descriptor.Replicas[i].Role = role
			} else {
				addReplica(r, parseNode(value), role)
			}
			r.Descriptor.Generation++
		default:
			st.t.Fatalf("set range: unknown word %q", w)
		}
	}
}

func locality(text string) cluster.Locality {
	l, err := cluster.ParseLocality(text)
	if err != nil {
		panic(err)
	}
	return l
}

// set pool 1 name=hot replicas=3 constraints=+zone=a prefer=zone=b
func (st *story) setPool(words []string) {
	id, _ := strconv.ParseUint(words[0], 10, 8)
	p := cluster.Pool{ID: cluster.PoolID(id), Name: "pool" + words[0], PoolSpec: cluster.PoolSpec{Replicas: 3}}
	if have := st.s.Pool(p.ID); have != nil {
		p = *have
	} else {
		st.s.Pools = append(st.s.Pools, p)
	}
	var err error
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "name":
			p.Name = value
		case "replicas":
			p.Replicas, err = strconv.Atoi(value)
		case "constraints":
			p.Constraints, err = cluster.ParseConstraints(value)
		case "prefer":
			p.PreferLeader, err = cluster.ParsePreference(value)
		}
		if err != nil {
			st.t.Fatal(err)
		}
	}
	st.s.Sort()
	*st.s.Pool(p.ID) = p
}

// safe r2 change-voters promote=n4 demote=n1 [expect=7]
func (st *story) safe(d *datadriven.TestData) string {
	id, err := cluster.ParseRangeID(d.CmdArgs[0].Key)
	if err != nil {
		st.t.Fatal(err)
	}
	c := placement.Change{Range: id}
	c.Kind = cluster.ChangeKind(d.CmdArgs[1].Key)
	c.Expect = st.s.Range(id).Descriptor.Generation
	for _, a := range d.CmdArgs[2:] {
		switch a.Key {
		case "add":
			c.Add = parseNode(a.Vals[0])
		case "remove":
			c.Remove = parseNode(a.Vals[0])
		case "promote":
			c.Promote = append(c.Promote, parseNode(a.Vals[0]))
		case "demote":
			c.Demote = append(c.Demote, parseNode(a.Vals[0]))
		case "expect":
			c.Expect, _ = strconv.ParseUint(a.Vals[0], 10, 64)
		}
	}
	found := placement.Safe(&st.s, c)
	if len(found) == 0 {
		return "safe\n"
	}
	var b strings.Builder
	for _, v := range found {
		fmt.Fprintln(&b, v)
	}
	return b.String()
}

// plan decommission n3 [maxmoves=2] [quiet]
func (st *story) makePlan(d *datadriven.TestData) string {
	in := placement.Intent{Goal: placement.Goal(d.CmdArgs[0].Key), Nodes: nodesOf(d)}
	d.MaybeScanArgs(st.t, "maxmoves", &in.MaxMoves)
	d.MaybeScanArgs(st.t, "maxtransfers", &in.MaxTransfers)
	for _, a := range d.CmdArgs[1:] {
		switch a.Key {
		case "balance":
			in.Balance = placement.Balance(a.Vals[0])
		case "r":
			in.Range = parseRange(st.t, a.Vals[0])
		case "from":
			in.From = parseNode(a.Vals[0])
		case "to":
			in.To = parseNode(a.Vals[0])
		case "pool":
			id, _ := strconv.Atoi(a.Vals[0])
			in.Pool = cluster.PoolID(id)
		case "wanted":
			in.Wanted = wantedOf(st.t, a.Vals[0])
		}
	}
	var v placement.Verdict
	st.plan, v = placement.Make(&st.s, in)
	again, _ := placement.Make(st.s.Clone(), in)
	if fmt.Sprint(again) != fmt.Sprint(st.plan) {
		st.t.Fatalf("the same snapshot gave two plans:\n%v\n%v", st.plan, again)
	}
	var b strings.Builder
	for _, m := range st.plan.Moves {
		fmt.Fprintf(&b, "%s: %s\n", m, m.Why)
	}
	for _, t := range st.plan.Transfers {
		fmt.Fprintln(&b, t)
	}
	for _, e := range st.plan.Effects {
		fmt.Fprintf(&b, "%s replicas %d -> %d, leaders %d -> %d, MiB %d -> %d, disk %.0f%% peak %.0f%%\n", e.Node, e.ReplicasBefore, e.ReplicasAfter,
			e.LeadersBefore, e.LeadersAfter, e.BytesBefore>>20, e.BytesAfter>>20, e.DiskBefore*100, e.DiskPeak*100)
	}
	for i, dim := range st.plan.Before {
		if dim.WouldAct || dim != st.plan.After[i] {
			after := st.plan.After[i]
			fmt.Fprintf(&b, "%s %v..%v -> %v..%v: %s\n", dim.Name, dim.Min, dim.Max, after.Min, after.Max, dim.Why)
		}
	}
	if p := st.plan.Prediction; p.P50 > 0 {
		fmt.Fprintf(&b, "p50 %.1fs p90 %.1fs lower %.1fs by %v; survives %d, %d, %d\n", p.P50, p.P90, p.Lower, p.Bottleneck, p.Before, p.During, p.After)
	}
	if st.plan.Gain > 0 {
		fmt.Fprintf(&b, "gain %.1f\n", st.plan.Gain)
	}
	return b.String() + verdict(&v)
}

// wantedOf reads 5 or 5/+zone=a/zone=a.
func wantedOf(t *testing.T, text string) *cluster.PoolSpec {
	t.Helper()
	parts := append(strings.Split(text, "/"), "", "")
	spec := &cluster.PoolSpec{}
	var err error
	if spec.Replicas, err = strconv.Atoi(parts[0]); err == nil {
		spec.Constraints, err = cluster.ParseConstraints(strings.ReplaceAll(parts[1], ":", "="))
	}
	if err == nil {
		spec.PreferLeader, err = cluster.ParsePreference(strings.ReplaceAll(parts[2], ":", "="))
	}
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// carry takes every move of the last plan to its end, learners catching up when
// waited for.
func (st *story) carry(d *datadriven.TestData) string {
	var b strings.Builder
	if st.plan.Intent.Goal == placement.GoalDecommission {
		for _, id := range st.plan.Intent.Nodes {
			st.s.Node(id).Membership = cluster.Decommissioning
		}
	}
	for _, m := range st.plan.Moves {
		fmt.Fprintf(&b, "%s\n", m)
		for range 20 {
			step := placement.Next(&st.s, m)
			fmt.Fprintf(&b, "  %s\n", describe(step))
			if step.Kind == placement.StepDone || step.Kind == placement.StepBlocked {
				break
			}
			advance(&st.s, m.Range, step)
		}
		if r := st.s.Range(m.Range); m.Learner && !r.CaughtUp(m.To) { // of the meta range: nobody waits for it
			r.Caught = append(r.Caught, m.To)
		}
	}
	for _, x := range st.plan.Transfers {
		st.s.Range(x.Range).Leader = x.To
	}
	if d.HasArg("show") {
		b.WriteString(show(&st.s))
	}
	return b.String()
}

// advance does to the snapshot what carrying out the step does to a cluster.
func advance(s *placement.Snapshot, id cluster.RangeID, step placement.Step) {
	r := s.Range(id)
	switch step.Kind {
	case placement.StepTransfer:
		r.Leader = step.To
	case placement.StepWait:
		for _, rep := range r.Descriptor.Replicas {
			if !slices.Contains(r.Caught, rep.Node) {
				r.Caught = append(r.Caught, rep.Node)
			}
		}
	case placement.StepChange:
		d, problem := placement.Applied(&r.Descriptor, step.Change)
		if problem != "" {
			panic(problem)
		}
		r.Descriptor = *d
		r.Caught = slices.DeleteFunc(r.Caught, func(n cluster.NodeID) bool { _, ok := d.On(n); return !ok })
	}
}

func describe(s placement.Step) string {
	switch s.Kind {
	case placement.StepChange:
		text := string(s.Change.Kind)
		if s.Change.Add != 0 {
			text += " add " + s.Change.Add.String()
		}
		if s.Change.Remove != 0 {
			text += " remove " + s.Change.Remove.String()
		}
		for _, n := range s.Change.Promote {
			text += " promote " + n.String()
		}
		for _, n := range s.Change.Demote {
			text += " demote " + n.String()
		}
		return text
	case placement.StepTransfer:
		return "transfer to " + s.To.String()
	case placement.StepDone:
		return "done"
	}
	return string(s.Kind) + ": " + s.Why
}

func nodesOf(d *datadriven.TestData) []cluster.NodeID {
	var out []cluster.NodeID
	for _, a := range d.CmdArgs {
		if strings.HasPrefix(a.Key, "n") && len(a.Vals) == 0 {
			out = append(out, parseNode(a.Key))
		}
	}
	return out
}

func parseRange(t *testing.T, s string) cluster.RangeID {
	t.Helper()
	id, err := cluster.ParseRangeID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func explain(e placement.Explanation) string {
	var b strings.Builder
	for _, n := range e.Nodes {
		fmt.Fprintf(&b, "%s holds %v may %v: ", n.Node, n.Holds, n.May)
		if n.Code != "" {
			fmt.Fprintf(&b, "%s ", n.Code)
		}
		b.WriteString(n.Why)
		if n.WouldChange != "" {
			b.WriteString("; " + n.WouldChange)
		}
		if n.Gain > 0 {
			fmt.Fprintf(&b, "; gain %.1f", n.Gain)
		}
		b.WriteString("\n")
	}
	return b.String() + e.Why + "\n"
}

func parseNode(s string) cluster.NodeID {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "n"))
	if err != nil {
		panic(err)
	}
	return cluster.NodeID(n)
}

func show(s *placement.Snapshot) string {
	var b strings.Builder
	for i := range s.Ranges {
		r := &s.Ranges[i]
		fmt.Fprintf(&b, "%s gen %d leader %s:", r.Descriptor.ID, r.Descriptor.Generation, r.Leader)
		for _, rep := range r.Descriptor.Replicas {
			b.WriteString(" " + rep.Node.String())
			if rep.Role != cluster.Voter {
				b.WriteString("(" + string(rep.Role) + ")")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func verdict(v *placement.Verdict) string {
	if v.OK() {
		var b strings.Builder
		for _, c := range v.Checks {
			if c.State == placement.CheckWarn {
				fmt.Fprintf(&b, "warn %s %s\n", c.Code, c.Detail)
			}
		}
		return b.String() + "ok\n"
	}
	var b strings.Builder
	for _, r := range v.Refusals {
		fmt.Fprintf(&b, "refused %s: %s\n", r.Code, r.Why)
		for _, f := range r.Fixes {
			fmt.Fprintf(&b, "  fix: %s: %s\n", f.Does, f.Command)
		}
	}
	return b.String()
}

func survival(s placement.Survival) string {
	copies := ""
	if len(s.Copies) > 0 {
		copies = fmt.Sprintf("; copies only %v", s.Copies)
	}
	text := fmt.Sprintf("any %d; singles %v; pairs %d, worst %v: %d ranges; lost %v%s\n", s.Any, s.Singles, s.Pairs, s.Worst, s.WorstRanges, s.Lost, copies)
	for _, l := range s.Localities {
		text += fmt.Sprintf("%s %v: %d ranges %v\n", l.Locality, l.Nodes, l.Ranges, l.First)
	}
	return text
}

// TestAPlanForgetsTheReplicaThatItTakesAway: a range in a pool that wants its one
// replica elsewhere, whose stopped copy stands where it is to go, gets a plan that
// ends with one voter there.
func TestAPlanForgetsTheReplicaThatItTakesAway(t *testing.T) {
	s := build(3, 1, 1, 1, 1<<20)
	s.Node(3).Locality = locality("region=eu")
	s.Pools = append(s.Pools, cluster.Pool{ID: 1, Name: "second"})
	p := s.Pool(1)
	p.Replicas = 1
	p.Constraints, _ = cluster.ParseConstraints("+region=eu")
	r := &s.Ranges[len(s.Ranges)-1]
	r.Descriptor.Pool = 1
	r.Descriptor.Replicas = append(r.Descriptor.Replicas, cluster.ReplicaDescriptor{Node: 3, Replica: r.Descriptor.NextReplica, Role: cluster.Learner})
	r.Descriptor.NextReplica++
	r.Failed = []cluster.NodeID{3}
	plan, v := placement.Make(s, placement.Intent{Goal: placement.GoalPool, Pool: 1})
	if got := fmt.Sprint(plan.Moves); !v.OK() || got != "[r2 -n3 r2 n1->n3]" {
		t.Errorf("planned %s, %s", got, v.String())
	}
}
