package sql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestNotifyModel: what sessions hear is what transactions that were committed have notified,
// whatever they said and took back.
func TestNotifyModel(t *testing.T) {
	if err := notifyModel(t, 60, Planted{}); err != nil {
		t.Error(err)
	}
}

// saidSession is a session as PostgreSQL's documentation has it.
type saidSession struct {
	*client
	heard    []string // since it was compared last
	wants    []string
	channels map[string]bool
	block    bool
	failed   bool
	listens  []string // "+channel", "-channel", "-" for all
	notifies []string
	marks    [][2]int // of savepoints: how much was said
}

func notifyModel(t *testing.T, seeds uint64, faults Planted) error {
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 60))
		f := newFixture(t, nil)
		f.server.cfg.Planted = faults
		var all []*saidSession
		for range 3 {
			x := &saidSession{channels: map[string]bool{}}
			x.client = f.open(heard(&x.heard))
			all = append(all, x)
		}
		for step := range 80 {
			x := all[rng.IntN(len(all))]
			text := x.say(rng)
			x.run(text)
			x.follow(text, all)
			for i, y := range all {
				if !slices.Equal(y.heard, y.wants) {
					return fmt.Errorf("seed %d, step %d: %q: session %d heard %q, want %q", seed, step, text, i, y.heard, y.wants)
				}
				y.heard, y.wants = nil, nil
			}
		}
	}
	return nil
}

// say draws a statement.
func (x *saidSession) say(rng *rand.Rand) string {
	ch := string(rune('a' + rng.IntN(2)))
	switch n := rng.IntN(20); {
	case n < 6:
		return fmt.Sprintf("notify %s, '%d'", ch, rng.IntN(4))
	case n < 8:
		return fmt.Sprintf("select pg_notify('%s', '%d')", ch, rng.IntN(4))
	case n < 10:
		return "listen " + ch
	case n == 10:
		return "unlisten " + ch
	case n == 11:
		return "unlisten *"
	case n == 12:
		return "select 1/0"
	case !x.block:
		return "begin"
	case n < 15:
		return "savepoint s"
	case n == 15 && len(x.marks) > 0:
		return "release s"
	case n < 18 && len(x.marks) > 0:
		return "rollback to s"
	case n == 18:
		return "rollback"
	}
	return "commit"
}

// follow does in the model what a statement does.
func (x *saidSession) follow(text string, all []*saidSession) {
	verb, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "rollback to s":
		m := x.marks[len(x.marks)-1]
		x.failed, x.listens, x.notifies = false, x.listens[:m[0]], x.notifies[:m[1]]
	case text == "commit", text == "rollback":
		x.end(text == "commit" && !x.failed, all)
		x.block = false
	case x.failed:
	case text == "begin":
		x.block = true
	case text == "savepoint s":
		x.marks = append(x.marks, [2]int{len(x.listens), len(x.notifies)})
	case text == "release s":
		x.marks = x.marks[:len(x.marks)-1]
	case text == "select 1/0":
		x.failed = x.block
	case verb == "listen":
		x.listens = append(x.listens, "+"+rest)
	case verb == "unlisten":
		x.listens = append(x.listens, "-"+strings.TrimSuffix(rest, "*"))
	default: // both ways to notify
		parts := strings.FieldsFunc(strings.TrimPrefix(rest, "pg_notify"), func(r rune) bool { return strings.ContainsRune("(), '", r) })
		if note := parts[0] + ":" + parts[1]; !slices.Contains(x.notifies, note) {
			x.notifies = append(x.notifies, note)
		}
	}
	if !x.block {
		x.end(!x.failed, all)
	}
}

// end has what was said count, or not.
func (x *saidSession) end(committed bool, all []*saidSession) {
	listens, notifies := x.listens, x.notifies
	x.listens, x.notifies, x.marks, x.failed = nil, nil, nil, false
	if !committed {
		return
	}
	for _, l := range listens {
		switch {
		case l == "-":
			clear(x.channels)
		case l[0] == '-':
			delete(x.channels, l[1:])
		default:
			x.channels[l[1:]] = true
		}
	}
	for _, note := range notifies {
		for _, y := range all {
			if y.channels[note[:1]] {
				y.wants = append(y.wants, note)
			}
		}
	}
}
