package agent_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nodedb/nodedb/"

// owners says which packages alone may import a third-party library.
var owners = map[string][]string{
	"github.com/cockroachdb/pebble/v2":               {"agent/internal/storage"},
	"github.com/hashicorp/memberlist":                {"agent/internal/gossip"},
	"google.golang.org/grpc":                         {"agent/internal/transport", "agent/agenttest/bench"}, // the bench speaks it to etcd
	"github.com/jackc/pgx/v5/pgproto3":               {"agent/internal/pgwire"},
	"github.com/duckdb/duckdb-go-bindings":           {"agent/internal/sql/duck"},
	"github.com/spf13/cobra":                         {"cmd/nodedbctl"},
	"charm.land":                                     {"tui"},
	"github.com/charmbracelet":                       {"tui"},
	"github.com/ergochat/readline":                   {"cmd/nodedbctl"},
	"github.com/robfig/cron/v3":                      {"agent/internal/schedule"},
	"go.etcd.io/raft/v3":                             {"agent/internal/replica", "agent/internal/raftlog", "agent/internal/store", "agent/internal/sim"},
	"github.com/prometheus/client_golang/prometheus": {"agent", "agent/internal/admin"},
	"connectrpc.com/connect/v2":                      {"client", "agent/internal/admin", "client/adminpb"},
}

type row struct {
	purpose string
	may     []string
}

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
}

var mapRow = regexp.MustCompile(`^\| ([a-z][a-zA-Z/-]+) \| ([^|]+) \|([^|]*)\|$`)

// TestTopLevel holds the house to its rooms: what people and scripts find at the
// top is fixed.
func TestTopLevel(t *testing.T) {
	for dir, rooms := range map[string][]string{
		"..":     {"agent", "bin", "client", "cmd", "docs", "tui", "go.mod", "go.sum", "Makefile", "README.md", "LICENSE"},
		"../cmd": {"nodedb-agent", "nodedbctl"},
	} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); !strings.HasPrefix(name, ".") && !slices.Contains(rooms, name) {
				t.Errorf("%s/%s is not at the top level: a package belongs below agent, client or tui", dir, name)
			}
		}
	}
}

// TestCodeMap holds docs/ARCHITECTURE.md's code map true: every package is in
// it, says its purpose in its documentation, and imports only what its row allows.
func TestCodeMap(t *testing.T) {
	rows := readMap(t)
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		r, key := lookup(rows, name)
		if key == "" {
			t.Errorf("%s is not in the code map: add a row to docs/ARCHITECTURE.md", name)
			continue
		}
		if key == name {
			checkPurpose(t, name, p.Doc, r.purpose)
		}
		for _, imp := range p.Imports {
			checkImport(t, name, key, imp, r.may)
		}
	}
}

// lookup finds the row of the package or, for a subpackage, of its parent.
func lookup(rows map[string]row, name string) (row, string) {
	for key := name; ; {
		if r, ok := rows[key]; ok {
			return r, key
		}
		i := strings.LastIndex(key, "/")
		if i < 0 {
			return row{}, ""
		}
		key = key[:i]
	}
}

func checkPurpose(t *testing.T, name, doc, purpose string) {
	t.Helper()
	doc = strings.ToLower(doc)
	if doc == "" {
		t.Errorf("%s has no package documentation: its first sentence is the purpose in the code map", name)
		return
	}
	if want := strings.ToLower(purpose); !strings.Contains(doc, want) {
		t.Errorf("%s: documentation begins %q, the code map says %q", name, doc, want)
	}
}

func checkImport(t *testing.T, name, key, imp string, may []string) {
	t.Helper()
	for lib, by := range owners {
		if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !slices.ContainsFunc(by, func(o string) bool { return name == o || strings.HasPrefix(name, o+"/") }) {
			t.Errorf("%s imports %s, which only %s may", name, imp, strings.Join(by, ", "))
		}
	}
	ours, ok := strings.CutPrefix(imp, module)
	if !ok || ours == key || strings.HasPrefix(ours, key+"/") {
		return
	}
	short := strings.TrimPrefix(ours, "agent/internal/")
	for _, m := range may {
		if m == "everything" || short == m || strings.HasPrefix(short, m+"/") {
			return
		}
	}
	t.Errorf("%s imports %s, which its row of the code map does not allow", name, ours)
}

func readMap(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]row{}
	for line := range strings.SplitSeq(string(text), "\n") {
		m := mapRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var may []string
		for f := range strings.SplitSeq(m[3], ",") {
			if f = strings.TrimSpace(f); f != "" {
				may = append(may, f)
			}
		}
		rows[m[1]] = row{purpose: m[2], may: may}
	}
	if len(rows) < 20 {
		t.Fatalf("found only %d rows in docs/ARCHITECTURE.md: has the table changed its shape?", len(rows))
	}
	return rows
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}
