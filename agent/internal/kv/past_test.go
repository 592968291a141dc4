package kv

import (
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestTheGateOfFollowerReads goes through all that decides where a range is read: the
// first line that fits a case says what is to come of it.
func TestTheGateOfFollowerReads(t *testing.T) {
	serves, behind := cluster.PastServes, cluster.PastBehind
	lines := []struct {
		fits func(*GateCase) bool
		here bool
		why  Reason
	}{
		{func(c *GateCase) bool { return c.Consistency == Strong }, false, ReasonStrong},
		{func(c *GateCase) bool { return c.Writes }, false, ReasonWrites},
		{func(c *GateCase) bool { return c.Locks }, false, ReasonLocks},
		{func(c *GateCase) bool { return c.InTransaction && c.Consistency == Bounded }, false, ReasonTransaction},
		{func(c *GateCase) bool { return c.InTransaction && c.Consistency == Eventual }, false, ReasonTransaction},
		{func(c *GateCase) bool { return c.Leads }, false, ReasonLeads},
		{func(c *GateCase) bool { return c.Lack == cluster.PastAbsent }, false, "absent"},
		{func(c *GateCase) bool { return c.Lack == cluster.PastReturning }, false, "returning"},
		{func(c *GateCase) bool { return c.Lack == cluster.PastEmpty }, false, "empty"},
		{func(c *GateCase) bool { return c.Lack == cluster.PastInstalling }, false, "installing"},
		{func(c *GateCase) bool { return c.Lack == cluster.PastDamaged }, false, "damaged"},
		{func(c *GateCase) bool { return c.Lack == cluster.PastFailed }, false, "failed"},
		{func(c *GateCase) bool { return c.Consistency == Eventual && (c.Lack == serves || c.Lack == behind) }, true, ReasonEventual},
		{func(c *GateCase) bool { return c.Lack == behind }, false, "behind"},
		{func(c *GateCase) bool { return c.Intents }, false, ReasonIntents},
		{func(c *GateCase) bool { return c.Consistency == Bounded || c.Consistency == AsOf }, true, ReasonClosed},
	}
	used := make([]int, len(lines))
	cases := 0
	for _, c := range gateCases() {
		cases++
		i := slices.IndexFunc(lines, func(l struct {
			fits func(*GateCase) bool
			here bool
			why  Reason
		}) bool {
			return l.fits(&c)
		})
		if i < 0 {
			t.Fatalf("no line fits %+v", c)
		}
		used[i]++
		if here, why := c.Decide(); here != lines[i].here || why != lines[i].why {
			t.Errorf("%+v: here %v, %s; want %v, %s", c, here, why, lines[i].here, lines[i].why)
		}
		if _, why := c.Decide(); !slices.Contains(Reasons(), why) {
			t.Errorf("%s is not among the reasons that are counted", why)
		}
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("nothing fits line %d (%s)", i+1, lines[i].why)
		}
	}
	if want := 4 * 8 * 32; cases != want {
		t.Errorf("%d cases, want %d", cases, want)
	}
}

// gateCases are all cases.
func gateCases() (out []GateCase) {
	lacks := append([]cluster.PastLack{cluster.PastServes}, cluster.PastLacks[:]...)
	for _, consistency := range []Consistency{Strong, Bounded, Eventual, AsOf} {
		for _, lack := range lacks {
			for bits := range 32 {
				is := func(i int) bool { return bits>>i&1 == 1 }
				c := GateCase{Lack: lack, Leads: is(0), Intents: is(1)}
				c.Consistency, c.InTransaction, c.Writes, c.Locks = consistency, is(2), is(3), is(4)
				out = append(out, c)
			}
		}
	}
	return out
}
