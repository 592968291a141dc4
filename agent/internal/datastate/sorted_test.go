package datastate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSorted: lists after changes hold what maps hold, and earlier ones what they held.
func TestSorted(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	list, want := sorted[int]{}, map[string]int{}
	check := func(list sorted[int], want map[string]int) {
		t.Helper()
		var got []string
		for key, v := range list.from("") {
			if got = append(got, key); *v != want[key] || list.get(key) != v {
				t.Fatalf("%s is %d, want %d", key, *v, want[key])
			}
		}
		if all := slices.Sorted(maps.Keys(want)); !slices.Equal(got, all) || list.n != len(want) {
			t.Fatalf("%d keys (n %d), want %d", len(got), list.n, len(want))
		}
		if most := 4*len(want)/maxChunk + 3; len(list.chunks) > most {
			t.Fatalf("%d chunks for %d keys", len(list.chunks), len(want))
		}
		for _, c := range list.chunks {
			if len(c) == 0 || len(c) > maxChunk {
				t.Fatalf("a chunk of %d", len(c))
			}
		}
		from := fmt.Sprintf("k%04d", rng.IntN(5000))
		for key := range list.from(from) {
			if key < from {
				t.Fatalf("%s comes from %s", key, from)
			}
		}
	}
	for round := range 300 {
		before, held := list, maps.Clone(want)
		keys := map[string]bool{}
		for range 1 + rng.IntN(1+rng.IntN(600)) {
			keys[fmt.Sprintf("k%04d", rng.IntN(5000))] = true
		}
		shrinks := round%100 > 50
		var changes []entry[int]
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if v := rng.IntN(1000); rng.IntN(5) == 0 != shrinks {
				delete(want, key)
				changes = append(changes, entry[int]{key, nil})
			} else {
				want[key] = v
				changes = append(changes, entry[int]{key, &v})
			}
		}
		list = list.changed(changes)
		check(list, want)
		check(before, held)
	}
}
