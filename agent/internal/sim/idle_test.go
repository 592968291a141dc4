package sim

import "testing"

// TestIdleRangesCostNothing counts what three nodes do while nobody uses their ranges:
// no replica ticks or takes a step, and what the nodes say to each other does not grow
// with the ranges.
func TestIdleRangesCostNothing(t *testing.T) {
	var sent []int
	for _, ranges := range []int{2, 60} {
		sum := runSeeds(t, 1, func(c *Config) { idling(c, ranges) })
		sent = append(sent, sum.IdleBatches)
	}
	if few, many := sent[0], sent[1]; many > few+few/4 {
		t.Errorf("nodes with 2 idle ranges sent %d batches, with 60 %d", few, many)
	}
}
