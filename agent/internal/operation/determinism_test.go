package operation

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"time"
)

// core lists the files of the step function: what a simulation replays.
var core = []string{"action.go", "controller.go", "decommission.go", "drainwatch.go", "moves.go", "run.go", "snapshot.go", "upkeep.go"}

// TestReplay: the same seed gives the same actions, byte for byte.
func TestReplay(t *testing.T) {
	replay := func() []string {
		r := newRig(t, 42, 5, 5, 6)
		var actions []string
		r.watch = func(a Action) {
			b, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			actions = append(actions, string(b))
		}
		id := r.start(decommission(5))
		r.until("move", time.Minute, func() bool { return r.op(id).Phase == PhaseMove })
		r.kill(r.coordinator)
		r.until("decommission", 3*time.Minute, r.ended(id))
		return actions
	}
	first, second := replay(), replay()
	if !slices.Equal(first, second) {
		for i := range first {
			if i >= len(second) || first[i] != second[i] {
				t.Fatalf("action %d of %d differs:\n%s\n%s", i, len(first), first[i], second[min(i, len(second)-1)])
			}
		}
	}
	if len(first) < 20 {
		t.Errorf("only %d actions: the replay shows little", len(first))
	}
}

// TestCoreIsPure: the step function has no goroutine, and reads no clock, no
// randomness and nothing outside what it is given.
func TestCoreIsPure(t *testing.T) {
	for _, name := range core {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if slices.Contains([]string{"context", "math/rand", "math/rand/v2", "net", "os", "sync"}, path) {
				t.Errorf("%s imports %s: the Controller is a step function; put it into runner.go", name, path)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine: put it into runner.go", name)
			case *ast.SelectorExpr:
				if id, ok := x.X.(*ast.Ident); ok && id.Name == "time" && slices.Contains([]string{"Now", "Since", "After", "NewTimer", "NewTicker", "Sleep"}, x.Sel.Name) {
					t.Errorf("%s calls time.%s: take the time from Input.Now", name, x.Sel.Name)
				}
			}
			return true
		})
	}
}
