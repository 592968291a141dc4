package main

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/root"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// lists are the verbs that list something.
var lists = [][]string{
	{"nodes"}, {"members"}, {"ranges"}, {"routing"}, {"routing", "diff"}, {"ops", "--all"}, {"events"}, {"token", "ls"},
	{"join-token", "ls"}, {"context"}, {"rebalance", "plans"}, {"rebalance", "history"},
}

// TestFilterTakesWhatIsShown: each value that a list shows, used as COLUMN=VALUE,
// finds the rows that show it.
func TestFilterTakesWhatIsShown(t *testing.T) {
	dir := t.TempDir()
	_, stop, err := serve(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	run := func(args ...string) []string {
		t.Helper()
		var out, errs bytes.Buffer
		e := &ctl.Env{Term: &term.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, Version: "v1", Now: func() time.Time { return now }, Getenv: func(name string) string {
			return map[string]string{"NODEDBCTL_CONFIG": filepath.Join(dir, "context.yaml")}[name]
		}}
		if code := root.Run(context.Background(), e, args); code != 0 {
			t.Fatalf("%q: exit %d: %s", args, code, errs.String())
		}
		text := strings.TrimSuffix(out.String(), "\n")
		if text == "" {
			return nil
		}
		return strings.Split(text, "\n")
	}
	run("decommission", "n4", "--yes", "--detach")
	for _, verb := range lists {
		with := func(more ...string) []string { return run(append(slices.Clone(verb), more...)...) }
		heads := strings.Split(with("-o", "csv")[0], ",")
		names := with("-o", "name")
		if len(names) == 0 {
			t.Errorf("%q: the cluster of the test has none", verb)
		}
		for _, head := range heads {
			cells := with("--columns", head, "--no-headers")
			if len(cells) != len(names) {
				t.Fatalf("%q: %d cells of %s, %d rows", verb, len(cells), head, len(names))
			}
			seen := map[string]bool{}
			for i, cell := range cells {
				cell = strings.TrimSpace(cell)
				if seen[cell] {
					continue
				}
				seen[cell] = true
				value := cell
				if strings.ContainsAny(value, `=~<>"`) || strings.Contains(value, ", ") {
					value = strconv.Quote(value)
				}
				found := with("--filter", head+"="+value, "-o", "name")
				if !slices.Contains(found, names[i]) {
					t.Errorf("%q --filter '%s=%s': got %q, want %s among them", verb, head, value, found, names[i])
				}
			}
		}
	}
}
