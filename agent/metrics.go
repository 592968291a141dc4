package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/connlimit"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// metrics returns what /metrics shows. Everything is read when it is asked for:
// an idle node does no work for it.
func (n *Node) metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{n})
	return r
}

// collector turns the node's state into metrics.
type collector struct{ n *Node }

// desc makes the description of one metric.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("nodedb_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector: the set is fixed, Collect tells it.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st := c.n.source.Whole()
	c.stored(ch, &st)
	c.leases(ch, &st)
	c.lanes(ch)
	c.statements(ch)
	c.transactions(ch)
	c.work(ch)
	gauge(desc("sql_sessions_count", "SQL sessions."), float64(st.Sessions))
	gauge(desc("ranges_diverged_count", "Ranges whose replicas hold different things; told by the coordinator, 0 on other nodes."), float64(c.n.runner.Diverged()))
	gauge(desc("meta_applied_index", "Applied index of the meta range."), float64(st.MetaIndex))
	gauge(desc("node_ready", "1 while the node serves clients."), map[bool]float64{true: 1}[st.Service == cluster.Ready])
	gauge(desc("cert_expiry_timestamp_seconds", "When this node's certificate expires."), float64(c.n.certs.Current().Expires().Unix()))
	ch <- prometheus.MustNewConstMetric(desc("cert_reload_failures_total", "Times that changed certificate files could not be read."), prometheus.CounterValue, float64(c.n.keeper.failures()))
	gauge(desc("audit_records_last", "Sequence of the last audit record: the same on all nodes that have applied as much."), float64(c.n.machine.View().Audit.Last))
	gauge(desc("audit_log_failed", "1 while logins cannot be recorded."), map[bool]float64{true: 1}[c.n.logins.Failed() != nil])
	ch <- prometheus.MustNewConstMetric(desc("audit_log_replaced_total", "Files of the log of logins that another hand has replaced or changed."), prometheus.CounterValue, float64(c.n.logins.Replaced()))
	if c.n.export != nil {
		ch <- prometheus.MustNewConstMetric(desc("audit_export_dropped_total", "Audit records whose copy was not sent."), prometheus.CounterValue, float64(c.n.export.Dropped()))
	}
	clock := c.n.clockStatus()
	gauge(desc("clock_settled", "1 while the node knows what the time is."), map[bool]float64{true: 1}[clock.Belief != hlc.Asking.String()])
	gauge(desc("clock_step_seconds", "How far the machine's clock is ahead of the node's time; beyond max_clock_offset it is not followed."), clock.Step)
	gauge(desc("clock_ahead_seconds", "How far the newest timestamp is ahead of the node's time."), clock.Ahead)
	for _, p := range c.n.peers.Status() {
		if !p.LastOK.IsZero() {
			gauge(desc("clock_peer_offset_seconds", "How far the peer's time is ahead of this node's.", "peer"), p.Offset.Seconds(), p.Node.String())
		}
	}
	for id, l := range c.n.liveness() {
		gauge(desc("gossip_peer_alive", "1 while gossip sees the peer alive.", "peer"), map[bool]float64{true: 1}[l == cluster.Alive], id.String())
	}
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	for _, p := range st.Memory {
		gauge(desc("memory_used_bytes", "Bytes that others make the node hold, by part; a part is in those it belongs to, up to the whole (node).", "part"), float64(p.Used), p.Name)
		gauge(desc("memory_peak_bytes", "The most that a part has held since the start; 0: not known.", "part"), float64(p.Peak), p.Name)
		gauge(desc("memory_limit_bytes", "The bound of a part: more is refused.", "part"), float64(p.Limit), p.Name)
		ch <- prometheus.MustNewConstMetric(desc("memory_refused_total", "Requests refused for want of memory.", "part"), prometheus.CounterValue, float64(p.Refused), p.Name)
	}
	if r := c.n.schedules.Load(); r != nil {
		for state, count := range r.Counts() {
			ch <- prometheus.MustNewConstMetric(desc("schedule_runs_total", "Runs of schedules that this node has started (running), and that have come to another state on it.", "state"), prometheus.CounterValue, float64(count), string(state))
		}
	}
	counter(desc("store_snapshots_refused_total", "Snapshots that were not received for want of memory or room on the disk; their senders try again."), c.n.store.SnapshotsRefused())
	views := c.n.db.Server().Views()
	gauge(desc("kv_views_count", "Views of ranges of scans whose readers have not taken all."), float64(views.Open))
	gauge(desc("kv_view_oldest_seconds", "Age of the oldest of these views: what was overwritten since stays on disk."), views.Oldest.Seconds())
	ch <- prometheus.MustNewConstMetric(desc("kv_views_taken_total", "Views taken from scans whose readers did not read; they went on from newer ones."), prometheus.CounterValue, float64(views.Taken))
	for port, g := range map[string]*connlimit.Gate{"admin": c.n.doorAdmin, "rpc": c.n.doorRPC, "gossip": c.n.doorGossip} {
		s := g.Stats()
		gauge(desc("port_connections_count", "Connections from outside.", "port"), float64(s.Open), port)
		for why, v := range map[string]uint64{"no-room": s.Refused, "made-room": s.Closed} {
			ch <- prometheus.MustNewConstMetric(desc("port_connections_closed_total", "Connections closed because the port was full: the newest, or the oldest that had not authenticated.", "port", "reason"),
				prometheus.CounterValue, float64(v), port, why)
		}
	}
}

// stored tells what the replicas of this node are and hold, and how its disk is.
func (c *collector) stored(ch chan<- prometheus.Metric, st *cluster.NodeStatus) {
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	var leaders, failed, leaderless int
	var reads, writes, live, dead uint64
	oldest := time.Now()
	for _, r := range st.Ranges {
		if r.IsLeader() {
			leaders++
		}
		if r.Failed != "" {
			failed++
		}
		if r.Leader == 0 {
			leaderless++
		}
		reads, writes = reads+r.Reads, writes+r.Writes
		live, dead = live+r.LiveBytes, dead+r.DeadBytes
		if r.DeadBytes > 0 && !r.Collected.IsZero() && r.Collected.Before(oldest) {
			oldest = r.Collected
		}
	}
	gauge(desc("store_replicas_count", "Replicas on this node."), float64(len(st.Ranges)))
	gauge(desc("store_leaders_count", "Ranges that this node leads."), float64(leaders))
	gauge(desc("store_replicas_failed_count", "Replicas that have stopped after an error."), float64(failed))
	gauge(desc("store_ranges_leaderless_count", "Replicas that know no leader of their range."), float64(leaderless))
	gauge(desc("store_bytes", "Bytes of the store on disk."), float64(st.Bytes))
	gauge(desc("store_live_bytes", "Bytes of rows' newest versions that have a value, of replicas on this node that are counted."), float64(live))
	gauge(desc("store_dead_bytes", "Bytes of all other versions, of replicas on this node that are counted."), float64(dead))
	gauge(desc("store_garbage_age_seconds", "How long the oldest of what is dead in ranges that this node leads may have been so: gc_ttl and what it takes to collect, unless an open snapshot keeps it."), time.Since(oldest).Seconds())
	gauge(desc("store_start_log_bytes", "What the start read of the store's log: what was not in tables yet."), float64(c.n.engine.Disk().Opened()))
	gauge(desc("store_disk_used_bytes", "Used bytes of the file system."), float64(st.DiskUsed))
	gauge(desc("store_disk_total_bytes", "Size of the file system."), float64(st.DiskTotal))
	gauge(desc("store_disk_full", "1 while only its reserve is left of the disk, and the node takes no more rows."), map[bool]float64{true: 1}[st.DiskFull])
	gauge(desc("store_disk_hung", "1 while an operation on the store's disk has taken longer than diskStall."), map[bool]float64{true: 1}[st.Disk.State == cluster.DiskHung])
	gauge(desc("store_disk_slow", "1 while the store's disk is slow, or hung a moment ago."), map[bool]float64{true: 1}[st.Disk.State == cluster.DiskSlow])
	gauge(desc("store_disk_operation_age_seconds", "How long the oldest operation on the store's disk has been under way; 0: there is none."), st.Disk.Age)
	gauge(desc("store_disk_sync_median_seconds", "Median of the last 16 syncs of the log."), st.Disk.SyncMedian)
	gauge(desc("store_disk_sync_longest_seconds", "Longest of the last 16 syncs of the log."), st.Disk.SyncLongest)
	ch <- prometheus.MustNewConstMetric(desc("store_reads_total", "Reads served by ranges of this node since it started."), prometheus.CounterValue, float64(reads))
	ch <- prometheus.MustNewConstMetric(desc("store_writes_total", "Commands applied by ranges of this node since it started."), prometheus.CounterValue, float64(writes))
}

// lanes tells what waits for the core loop.
func (c *collector) lanes(ch chan<- prometheus.Metric) {
	if c.n.store == nil {
		return
	}
	for _, u := range c.n.store.Lanes() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, u.Lane.String())
		}
		gauge(desc("store_lane_requests_count", "Requests that wait for the core loop, by lane: urgent ones keep the node and the cluster alive, bulk is what SQL makes of data ranges.", "lane"), float64(u.Requests))
		gauge(desc("store_lane_message_bytes", "Bytes of messages from peers that wait for it.", "lane"), float64(u.Bytes))
		gauge(desc("store_lane_oldest_seconds", "How long the oldest of those has waited; 0: the lane is empty.", "lane"), u.Oldest.Seconds())
		gauge(desc("store_lane_longest_wait_seconds", "The longest that anything waited within the last half to whole minute.", "lane"), u.Longest.Seconds())
	}
}

// statements tells how many run and wait, by kind.
func (c *collector) statements(ch chan<- prometheus.Metric) {
	for _, q := range c.n.queues.all() {
		u := q.Usage()
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, u.Name)
		}
		counter := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, u.Name)
		}
		gauge(desc("sql_statements_running_count", "Statements that run, by kind: short ones name their rows, long ones are all others.", "kind"), float64(u.Running))
		gauge(desc("sql_statements_limit_count", "How many statements of the kind run at once.", "kind"), float64(u.Limit))
		gauge(desc("sql_statements_waiting_count", "Statements that wait until they may run.", "kind"), float64(u.Waiting))
		gauge(desc("sql_statements_oldest_wait_seconds", "How long the longest of those has waited; 0: nobody waits.", "kind"), u.Oldest.Seconds())
		counter(desc("sql_statements_waited_total", "Statements that had to wait and had their turn.", "kind"), float64(u.Waited))
		counter(desc("sql_statements_wait_seconds_total", "How long they waited, together.", "kind"), u.WaitedFor.Seconds())
		counter(desc("sql_statements_refused_total", "Statements that were refused because too many waited.", "kind"), float64(u.Refused))
	}
}

// work tells what the store has done: of an idle node it hardly grows.
func (c *collector) work(ch chan<- prometheus.Metric) {
	if c.n.store == nil {
		return
	}
	w := c.n.store.Work()
	for _, m := range []struct {
		name, help string
		v          uint64
	}{
		{"store_passes_total", "Times the core loop went round.", w.Passes},
		{"store_replica_ticks_total", "Ticks of replicas that were awake.", w.Ticks},
		{"store_replica_steps_total", "Steps of replicas that had something to do.", w.Steps},
		{"store_log_writes_total", "Batches given to the log writer, each for all ranges of a round.", w.Writes},
		{"store_batches_sent_total", "Batches of messages sent to other nodes.", w.Batches},
		{"store_garbage_versions_total", "Old versions found to be garbage in ranges that this node led, and taken away.", w.Collected},
	} {
		ch <- prometheus.MustNewConstMetric(desc(m.name, m.help), prometheus.CounterValue, float64(m.v))
	}
}
