package bench

import (
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// group is steps that share a cluster, which ends with the group.
type group struct {
	name  string
	setUp func(b *bench, t *testing.T)
}

func groups() []group {
	all := []group{{"load", (*bench).setUpLoad}, {"faults", (*bench).setUpFaults}}
	for _, alone := range []string{"idle", "idle640", "rows", "reads"} { // nobody else's rows or CPU time
		all = append(all, group{alone, func(*bench, *testing.T) {}})
	}
	return all
}

// steps are all parts of a run, in the order of their table.
func steps() []step {
	say := func(name, title string, notes ...string) figures.Step {
		return figures.Step{Name: name, Title: title, Notes: notes}
	}
	return []step{
		{say("insert", "prepared INSERT of a row of 100 bytes, against etcd's put",
			"postgres is one node without a replica; CPU is that of all processes and the load generator, by operation"), "load", true, (*bench).insert},
		{say("select", "linearizable point SELECT, against etcd's range",
			"\"leader here\": each client asks for rows that its own node leads; \"bounded staleness\": for any rows, at most 10 s old, which its own node answers (nodedb.read_consistency); etcd reads linearizably beside both"), "load", true, (*bench).selects},
		{say("hot", "UPDATE hot SET n = n + 1 of one row, autocommit, no retries by the client"), "load", true, (*bench).hot},
		{say("bulk", "many rows in a statement"), "load", true, (*bench).bulk},
		{say("tpcb", "TPC-B-like transactions by pgbench"), "load", false, (*bench).tpcb},
		{say("drain", "drain of a node under load", faultNote), "faults", true, (*bench).drain},
		{say("sigterm", "SIGTERM of a node under load", faultNote), "faults", false, (*bench).sigterm},
		{say("kill", "kill -9 of a node under load", faultNote), "faults", true, (*bench).kill},
		{say("disk", "the disk of one node hangs: its fsyncs take 8 s, writers on the other nodes", faultNote), "faults", false, (*bench).disk},
		{say("decommission", "decommission, under load, of a node that leads its share", faultNote), "faults", false, (*bench).decommission},
		{say("cold", "start of all nodes after kill -9 of all, to the first write"), "faults", false, (*bench).cold},
		{say("idle", "nodes that nobody asks anything, over 20 s"), "idle", true, (*bench).idle},
		{say("idle640", "the same with 640 ranges"), "idle640", false, (*bench).idle640},
		{say("rows", "memory after a load, and scans of it"), "rows", false, (*bench).rows},
		{say("reads", "reads over many rows, one client",
			"postgres is one node without a replica, and as many processes for a query as it plans"), "reads", false, (*bench).reads},
	}
}

const faultNote = "24 writers, a row each, a write each 20 ms; a gap is from a write's first attempt to its acknowledgement, retries and reconnects included; calm: the same just before, with no event"

// setUpLoad starts a cluster and its peers, each with rows to read.
func (b *bench) setUpLoad(t *testing.T) {
	b.c, b.ours = b.cluster(t, ranges)
	b.must(t, b.ours.SetUp(t.Context(), b.opts.Fill))
	b.startEtcd(t)
	bin, err := systems.FindPostgres()
	if err == nil {
		b.postgres, err = systems.StartPostgres(t.Context(), bin)
	}
	if b.missing(t, err) {
		return
	}
	t.Cleanup(b.postgres.Stop)
	b.must(t, b.postgres.TLS.SetUp(t.Context(), b.opts.Fill))
}

func (b *bench) startEtcd(t *testing.T) {
	path, err := systems.FindEtcd()
	if b.missing(t, err) {
		return
	}
	b.etcd, err = systems.StartEtcd(t.Context(), path, true)
	b.must(t, err)
	t.Cleanup(b.etcd.Stop)
	b.must(t, b.etcd.Fill(t.Context(), b.opts.Fill))
	if b.opts.Quick {
		return
	}
	b.plainEtcd, err = systems.StartEtcd(t.Context(), path, false)
	b.must(t, err)
	t.Cleanup(b.plainEtcd.Stop)
	b.must(t, b.plainEtcd.Fill(t.Context(), b.opts.Fill))
}

// contenders are all systems that keep rows by key, ours first. The quick run has
// one of each.
func (b *bench) contenders() []systems.System {
	all := []systems.System{b.ours.System()}
	if b.etcd != nil {
		all = append(all, b.etcd.System(false))
		if !b.opts.Quick {
			all = append(all, b.etcd.System(true))
		}
	}
	if b.plainEtcd != nil {
		all = append(all, b.plainEtcd.System(false))
	}
	if b.postgres != nil {
		all = append(all, b.postgres.TLS.System())
		if !b.opts.Quick {
			all = append(all, b.postgres.Plain.System())
		}
	}
	return all
}

// sqlContenders are those that take SQL.
func (b *bench) sqlContenders() []*systems.SQL {
	all := []*systems.SQL{b.ours}
	if b.postgres != nil {
		all = append(all, b.postgres.TLS)
	}
	return all
}
