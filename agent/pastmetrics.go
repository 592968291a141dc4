package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb/nodedb/agent/internal/kv"
)

// past tells where statements read that may read the past, and what replicas here serve
// of it.
func (c *collector) past(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	n := c.n.store.PastCounts()
	counter(desc("store_reads_past_total", "Reads of the past that replicas here served, whether they led or not."), n.Served)
	counter(desc("store_closings_asked_total", "Times that a leader was asked to close time for a replica here."), n.Asked)
	if c.n.db == nil {
		return
	}
	counts := c.n.db.ReadCounts()
	for _, why := range kv.Reasons() {
		counter(desc("kv_reads_past_total", "Parts of statements that may read the past, by why a range was read where it was: closed and eventual by the replica here, all others at the leader.", "reason"), counts[why], string(why))
	}
}
