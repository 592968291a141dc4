package budget

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

// TestBounds lets children ask for more than the whole has, from many goroutines.
func TestBounds(t *testing.T) {
	whole := New("node", 1000)
	parts := []*Budget{whole.Child("a", 700), whole.Child("b", 700)}
	seed := seed.Of(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)))
			part := parts[g%2]
			for range 2000 {
				n := r.Int64N(300)
				if part.Reserve(n) == nil {
					part.Release(n)
				}
			}
		})
	}
	wg.Wait()
	for _, u := range whole.Usage() {
		if u.Used != 0 || u.Peak > u.Limit {
			t.Errorf("%+v", u)
		}
	}
}

func TestRefusedChangesNothing(t *testing.T) {
	whole := New("node", 1000)
	mid := whole.Child("clients", 900)
	a, b := mid.Child("a", 800), mid.Child("b", 800)
	if err := a.Reserve(600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		part *Budget
		n    int64
		full string
	}{
		"its own bound":       {a, 201, "a"},
		"the bound above":     {b, 301, "clients"},
		"the bound of it all": {whole, 401, "node"},
	} {
		var full *FullError
		if err := tt.part.Reserve(tt.n); !errors.As(err, &full) || full.Budget != tt.full || full.Wanted != tt.n {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a.Used() != 600 || b.Used() != 0 || mid.Used() != 600 || whole.Used() != 600 {
		t.Errorf("%+v", whole.Usage())
	}
	us := whole.Usage()
	if len(us) != 4 || us[2].Name != "a" || us[2].Depth != 2 || us[2].Refused != 1 || us[2].LastRefused.IsZero() || us[2].Peak != 600 {
		t.Errorf("%+v", us)
	}
	a.Release(600)
	if whole.Used() != 0 {
		t.Errorf("%d bytes are left", whole.Used())
	}
}

func TestAccount(t *testing.T) {
	b := New("a", 3*step/2)
	a := b.Open()
	for range 10 {
		if err := a.Grow(10); err != nil {
			t.Fatal(err)
		}
	}
	if b.Used() != step || a.Used() != 100 {
		t.Errorf("small things take %d bytes", b.Used())
	}
	if err := a.Grow(3*step/2 - 100); err != nil {
		t.Errorf("the last bytes: %v", err)
	}
	if err := a.Grow(1); err == nil {
		t.Error("more than there is")
	}
	a.Shrink(step)
	if err := a.Grow(step); err != nil {
		t.Errorf("what was shrunk by: %v", err)
	}
	a.Close()
	if b.Used() != 0 {
		t.Errorf("%d bytes are left", b.Used())
	}
	large := New("l", 100*step)
	a = large.Open()
	_ = a.Grow(50 * step)
	if a.Shrink(50 * step); large.Used() > 2*step {
		t.Errorf("an account that shrank keeps %d bytes", large.Used())
	}
	a.Close()
	var none *Account
	if err := none.Grow(1 << 50); err != nil {
		t.Error(err)
	}
	none.Close()
}

// TestNoBudget uses nil budgets.
func TestNoBudget(t *testing.T) {
	var b *Budget
	c := b.Child("c", 1)
	if err := c.Reserve(1 << 50); err != nil {
		t.Error(err)
	}
	c.Release(1 << 50)
	a := c.Open()
	if err := a.Grow(1 << 50); err != nil || b.Used() != 0 || b.Usage() != nil {
		t.Error(err)
	}
}
