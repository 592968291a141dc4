//go:build bench

package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
)

// decommission takes away a node that joined, leads its share and holds data,
// while writers go on at the others, and asks for one removal too many.
func (b *bench) decommission(t *testing.T) {
	b.c.AddNode()
	agenttest.Eventually(t, 3*time.Minute, "n4 leads and holds its share", func() error {
		ranges, err := b.c.List("ranges")
		led, held := 0, 0
		for _, r := range ranges {
			if leads(r["leader"], 4) {
				led++
			}
			if strings.Contains(fmt.Sprint(r["voters"]), "4") {
				held++
			}
		}
		if err != nil || led < len(ranges)/8 || held < len(ranges)/2 {
			return fmt.Errorf("it leads %d and holds %d of %d ranges, %v", led, held, len(ranges), err)
		}
		return nil
	})
	calm := b.disturb(t, b.ours.urls, 4*time.Second, func() {})
	var took time.Duration
	g := b.disturb(t, b.ours.urls, time.Second, func() {
		r := b.c.TryCtl("decommission", "n4", "--yes")
		took = r.Took
		if r.Code != 0 || !strings.Contains(r.Stdout, "0 references to n4") {
			t.Errorf("decommission: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
	})
	b.tb.add(line{What: "decommission under load: write gap", Figure: g.describe(), Value: float64(g.Longest) / 1e6, Unit: "ms",
		Target: "<= 40 ms, none failed", Verdict: judge(g.Longest <= 40*time.Millisecond && g.Failed == 0)})
	ratio := float64(g.P99) / float64(calm.P99)
	b.tb.add(line{What: "decommission under load: p99 against calm", Figure: fmt.Sprintf("%.1fx (%s, before %s)", ratio, ms(g.P99), ms(calm.P99)), Value: ratio, Unit: "x",
		Target: "<= 2x", Verdict: judge(ratio <= 2)})
	b.tb.add(line{What: "decommission to the proof", Figure: ms(took), Value: float64(took) / 1e6, Unit: "ms"})
	r := b.c.TryCtl("decommission", "n3", "--yes")
	if r.Code != 5 {
		t.Errorf("a decommission that is impossible: exit %d, want 5\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	b.tb.add(line{What: "refusal of what is impossible", Figure: ms(r.Took), Value: float64(r.Took) / 1e6, Unit: "ms",
		Target: "< 1000 ms", Verdict: judge(r.Took < time.Second)})
}
