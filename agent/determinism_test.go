package agent_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// corePackages hold the step functions that the simulation replays bit by bit,
// and the values that they are made of.
var corePackages = []string{"cluster", "hlc", "keys", "raftlog", "lease", "latch", "evaluation", "replica", "datastate", "metastate", "placement", "store", "operation"}

// impureImports are what a core must not reach for: it is handed a clock, an
// engine, randomness and a sender.
var impureImports = []string{"os", "net", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "github.com/google/uuid"}

// impureCalls read a clock, wait for one, or start a goroutine unseen. A mention
// is enough: a function that is passed on is called by somebody.
var impureCalls = map[string][]string{
	"time":    {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"context": {"AfterFunc", "WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"},
}

// shell is a file beside a core that may do what the core may not.
type shell struct {
	why  string
	only []string // nil: anything
}

// shells are all such files, below agent/internal. A file that needs its row no
// longer fails the test too.
var shells = map[string]shell{
	"store/store.go":       {why: "the loop that drives the core, and its goroutines"},
	"store/logwriter.go":   {why: "the log writer, beside the loop, says since when it writes", only: []string{"time.Since"}},
	"store/damage.go":      {why: "examines damaged tables beside the loop, each once a minute at most", only: []string{"time.Now", "time.Since"}},
	"store/pace.go":        {why: "when the loop ticks: at once, or those of a rest at its end"},
	"store/inbox.go":       {why: "the queues in front of the loop tell how long a request has waited", only: []string{"time.Now", "time.Since"}},
	"store/places.go":      {why: "places of snapshots that are received: their goroutines wait there", only: []string{"time.NewTimer"}},
	"store/inspect.go":     {why: "looks at a replica from outside of the loop, and waits for that no longer than a second", only: []string{"context.WithTimeout"}},
	"store/snapshots.go":   {why: "streams snapshots beside the core, at a limited rate"},
	"operation/drainer.go": {why: "runs drains on the node that is drained, beside its sessions"},
	"operation/draining.go": {
		why: "one drain: waits for load balancers, leaderships and sessions of this process"},
	"operation/runner.go":      {why: "drives the controller's Step: polls nodes, carries actions out"},
	"operation/certificate.go": {why: "the coordinator's word that a process may stop, and the node's wait for it"},
	"operation/inspect.go":     {why: "asks the nodes of a range for its raft state, at once"},
	"operation/intake.go":      {why: "what nodes were asked is forgotten when nobody asks any more", only: []string{"time.AfterFunc"}},
	"operation/service.go":     {why: "answers requests for operations on any node: asks all nodes at once"},
	"operation/upgradeplan.go": {why: "the part of the service that plans upgrades"},
	"operation/verifynow.go":   {why: "the part of the service that has a range compared now, and waits for its replicas"},
	"operation/splitplan.go":   {why: "the part of the service that plans splits"},
	"cluster/hostrule.go":      {why: "addresses are values: it is compared, no socket is opened", only: []string{"import of net/netip"}},
	"metastate/hostrules.go":   {why: "as cluster/hostrule.go", only: []string{"import of net/netip"}},
	"metastate/machine.go":     {why: "Watch ends with its caller's context; nothing that is applied depends on it", only: []string{"context.AfterFunc"}},
}

// TestCoreIsDeterministic holds the core to what the simulation relies on: the
// same inputs in the same order give the same outputs, so no clock, randomness,
// goroutine, socket or file of its own.
func TestCoreIsDeterministic(t *testing.T) {
	needed := map[string]bool{}
	for _, p := range corePackages {
		for _, path := range goFiles(t, p) {
			name := p + "/" + filepath.Base(path)
			sh, isShell := shells[name]
			for _, f := range impurities(t, path) {
				needed[name] = true
				if !isShell || sh.only != nil && !slices.Contains(sh.only, f.what) {
					t.Errorf("%s: %s; if the file is a shell around the core, give it a row with its reason here", f.at, f.what)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shells)) {
		if !needed[name] {
			t.Errorf("agent/internal/%s is listed as a shell (%s), but is none or is gone: remove its row", name, shells[name].why)
		}
	}
}

func TestImpuritiesAreFound(t *testing.T) {
	source := `package p
import (
	"context"
	"math/rand/v2"
	"net/http"
	clock "time"
)
var now = clock.Now
func f(wg interface{ Go(func()) }) {
	go f(nil)
	wg.Go(func() {})
	<-clock.After(clock.Second)
	context.AfterFunc(context.Background(), func() {})
	_, _ = rand.Int(), http.MethodGet
}
`
	path := filepath.Join(t.TempDir(), "p.go")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range impurities(t, path) {
		got = append(got, f.what)
	}
	want := []string{"context.AfterFunc", "go statement", "import of math/rand/v2", "import of net/http", "time.After", "time.Now", "wg.Go"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type impurity struct{ at, what string }

func goFiles(t *testing.T, pkg string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("internal", pkg, "*.go"))
	if err != nil || len(all) == 0 {
		t.Fatalf("package %s has no files: %v", pkg, err)
	}
	return slices.DeleteFunc(all, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
}

func impurities(t *testing.T, path string) []impurity {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []impurity
	add := func(n ast.Node, format string, args ...any) {
		found = append(found, impurity{at: fset.Position(n.Pos()).String(), what: fmt.Sprintf(format, args...)})
	}
	names := map[string]string{} // of the imports that impureCalls knows
	for _, imp := range file.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(impureImports, func(bad string) bool { return p == bad || strings.HasPrefix(p, bad+"/") }) {
			add(imp, "import of %s", p)
		}
		if impureCalls[p] != nil {
			names[p] = p
			if imp.Name != nil {
				delete(names, p)
				names[imp.Name.Name] = p
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.GoStmt:
			add(x, "go statement")
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok && slices.Contains(impureCalls[names[id.Name]], x.Sel.Name) {
				add(x, "%s.%s", names[id.Name], x.Sel.Name)
			}
		case *ast.CallExpr:
			if sel, ok := x.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" { // of a sync.WaitGroup
				add(x, "%s.Go", last(sel.X))
			}
		}
		return true
	})
	return found
}

// last is the last name of x.y.z.
func last(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return "?"
}
