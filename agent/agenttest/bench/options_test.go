package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func options(t *testing.T, env ...string) (Options, error) {
	t.Helper()
	return OptionsFrom(func(name string) string {
		for _, e := range append(env, "BENCH_OUT=x") {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	})
}

func TestOptions(t *testing.T) {
	o, err := options(t)
	if err != nil || o.Quick || o.Turn != time.Second || o.Rounds != 3 || !slices.Equal(o.Clients, []int{1, 16, 64, 256}) || o.Rows != 1_000_000 {
		t.Errorf("by default %+v, %v", o, err)
	}
	o, err = options(t, "BENCH_QUICK=1", "BENCH_SECONDS=2", "BENCH_ROUNDS=5", "BENCH_ROWS=10", "BENCH_ONLY= insert, kill,")
	if err != nil || !o.Quick || o.Turn != 2*time.Second || o.Rounds != 5 || o.Faults != 5 || o.Rows != 10 || !slices.Equal(o.Only, []string{"insert", "kill"}) {
		t.Errorf("%+v, %v", o, err)
	}
	for env, want := range map[string]string{
		"BENCH_QUICK=yes":     "give 1 for the quick run",
		"BENCH_ONLY=insrt":    `there is no step "insrt"; the steps are insert, select, hot`,
		"BENCH_ROWS=-1":       "not a positive number",
		"BENCH_SECONDS=a bit": "not a positive number",
		"BENCH_OUT=":          "BENCH_OUT is not set",
	} {
		if _, err := options(t, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", env, err, want)
		}
	}
}

// TestSteps: each has a group and a name of its own, and some are quick.
func TestSteps(t *testing.T) {
	seen, quick := map[string]bool{}, 0
	for _, s := range steps() {
		if seen[s.Name] || s.Title == "" || !slices.ContainsFunc(groups(), func(g group) bool { return g.name == s.group }) {
			t.Errorf("step %q: twice, without a title, or in no group (%q)", s.Name, s.group)
		}
		seen[s.Name] = true
		if (Options{Quick: true}).wants(s) {
			quick++
		}
		if !(Options{}).wants(s) || !(Options{Quick: true, Only: []string{s.Name}}).wants(s) || (Options{Only: []string{"other"}}).wants(s) {
			t.Errorf("who wants step %q", s.Name)
		}
	}
	if quick == 0 || quick == len(seen) {
		t.Errorf("%d of %d steps are in the quick run", quick, len(seen))
	}
}
