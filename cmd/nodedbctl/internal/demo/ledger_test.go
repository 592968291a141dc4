package demo

import "testing"

// TestLedgerFindsEveryFault plants each fault that a cluster could have.
func TestLedgerFindsEveryFault(t *testing.T) {
	base := func() *writer {
		return &writer{id: 1, acked: []int{1, 2, 4}, unsure: map[int]bool{3: true}, tally: tally{adds: 3, unsureAdds: 1}}
	}
	for name, c := range map[string]struct {
		rows map[int]int
		n    int
		want Ledger
	}{
		"sound, unknown row absent":  {map[int]int{1: 1, 2: 1, 4: 1}, 3, Ledger{Unknown: 2}},
		"sound, unknown row present": {map[int]int{1: 1, 2: 1, 3: 1, 4: 1}, 4, Ledger{Unknown: 2}},
		"a row is lost":              {map[int]int{1: 1, 2: 1}, 3, Ledger{Unknown: 2, Lost: 1}},
		"a row is there twice":       {map[int]int{1: 2, 2: 1, 4: 1}, 3, Ledger{Unknown: 2, Doubled: 1}},
		"a row nobody wrote":         {map[int]int{1: 1, 2: 1, 4: 1, 9: 1}, 3, Ledger{Unknown: 2, Unwritten: 1}},
		"an addition is lost":        {map[int]int{1: 1, 2: 1, 4: 1}, 2, Ledger{Unknown: 2, Lost: 1}},
		"an addition is doubled":     {map[int]int{1: 1, 2: 1, 4: 1}, 5, Ledger{Unknown: 2, Doubled: 1}},
	} {
		var l Ledger
		x := base()
		x.compare(&l, c.rows)
		x.compareCounter(&l, c.n)
		if l != c.want {
			t.Errorf("%s: got %+v, want %+v", name, l, c.want)
		}
		if sound := c.want.Lost+c.want.Doubled+c.want.Unwritten == 0; l.OK() != sound {
			t.Errorf("%s: OK is %v", name, l.OK())
		}
	}
}
