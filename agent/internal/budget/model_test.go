package budget

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// runModel lets holders of a tree of budgets take, grow, shrink and give back at random
// and returns how the tree differed from plain sums; "": it did not.
func runModel(seed uint64, planted Planted) string {
	rng := rand.New(rand.NewPCG(seed, 0))
	whole := New("node", 100*step)
	whole.planted = planted
	clients := whole.Child("clients", 75*step)
	parts := []*Budget{clients.Child("sessions", 50*step), clients.Child("statements", 50*step), whole.Child("raft", 25*step)}
	type holder struct {
		account *Account
		part    int
		used    int64
	}
	var held []*holder
	for op := range 300 {
		switch n := rng.IntN(10); {
		case n < 3 || len(held) == 0:
			part := rng.IntN(len(parts))
			held = append(held, &holder{account: parts[part].Open(), part: part})
		case n < 7:
			h := held[rng.IntN(len(held))]
			want := rng.Int64N(20 * step)
			before := whole.Used()
			var full *FullError
			switch err := h.account.Grow(want); {
			case err == nil:
				h.used += want
			case !errors.As(err, &full) || whole.Used() != before:
				return fmt.Sprintf("op %d: refused with %v, %d bytes were taken before and %d after", op, err, before, whole.Used())
			}
		case n < 8:
			h := held[rng.IntN(len(held))]
			less := rng.Int64N(h.used + 1)
			h.account.Shrink(less)
			h.used -= less
		default:
			i := rng.IntN(len(held))
			held[i].account.Close()
			held = append(held[:i], held[i+1:]...)
		}
		// Each part has what its accounts use, and up to two steps more for each.
		var used, spare [3]int64
		for _, h := range held {
			used[h.part] += h.used
			spare[h.part] += 2 * step
		}
		sum := int64(0)
		for i, p := range parts {
			if got := p.Used(); got < used[i] || got > used[i]+spare[i] {
				return fmt.Sprintf("op %d: %s has taken %d bytes for %d", op, p.name, got, used[i])
			}
			sum += p.Used()
		}
		for _, u := range whole.Usage() {
			if u.Used > u.Limit {
				return fmt.Sprintf("op %d: %s holds %d of %d bytes", op, u.Name, u.Used, u.Limit)
			}
		}
		if whole.Used() != sum || clients.Used() != parts[0].Used()+parts[1].Used() {
			return fmt.Sprintf("op %d: the parts have taken %d bytes, the whole %d", op, sum, whole.Used())
		}
	}
	for _, h := range held {
		h.account.Close()
	}
	if whole.Used() != 0 {
		return fmt.Sprintf("%d bytes are left at the end", whole.Used())
	}
	return ""
}

func TestModel(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		if bad := runModel(seed, Planted{}); bad != "" {
			t.Fatalf("seed %d: %s", seed, bad)
		}
	}
}
