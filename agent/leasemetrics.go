package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// leases tells what reads went by, which ranges sleep, and how support stands.
func (c *collector) leases(ch chan<- prometheus.Metric, st *cluster.NodeStatus) {
	if c.n.store == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	n := c.n.store.ReadCounts()
	counter(desc("store_reads_leased_total", "Reads that were served under leases."), n.Leased)
	for _, lack := range cluster.LeaseLacks {
		counter(desc("store_reads_quorum_total", "Reads for which a leader asked a quorum, by what its lease lacked.", "reason"), n.Fallbacks[lack], string(lack))
	}
	var held, awake, asleep int
	missing := map[cluster.LeaseLack]int{}
	for _, r := range st.Ranges {
		l := r.Lease
		if l == nil {
			continue
		}
		if l.Held() {
			held++
		} else {
			missing[l.Lack]++
		}
		if l.Awake == "" {
			asleep++
		} else {
			awake++
		}
	}
	counter(desc("store_reads_refused_total", "Reads that replicas here did not serve: they led no more, or no quorum confirmed that they lead."), n.Refused)
	gauge(desc("store_leases_held_count", "Ranges that this node leads and holds the lease of."), float64(held))
	for _, lack := range cluster.RangeLacks {
		gauge(desc("store_leases_missing_count", "Ranges that this node leads without the lease, by what it lacks.", "reason"), float64(missing[lack]), string(lack))
	}
	gauge(desc("store_ranges_awake_count", "Ranges that this node leads and that do not sleep."), float64(awake))
	gauge(desc("store_ranges_asleep_count", "Ranges that this node leads and that sleep: nothing is sent for them."), float64(asleep))
	ch <- prometheus.MustNewConstSummary(desc("store_wake_seconds", "How long commands took that woke a range here, until they were applied."), n.Wakes, n.Waking.Seconds(), nil)
	c.past(ch)
	received, given := c.n.store.Support()
	for _, s := range received {
		gauge(desc("store_support_seconds", "For how long a peer's support of this node still counts; 0: it does not.", "peer"), s.Left.Seconds(), s.Node.String())
		counter(desc("store_supports_lost_total", "Times that a peer's support of this node ran out.", "peer"), s.Ended, s.Node.String())
	}
	for _, s := range given {
		counter(desc("store_supports_withdrawn_total", "Times that this node withdrew its support of a peer.", "peer"), s.Ended, s.Node.String())
	}
}
