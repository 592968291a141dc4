// Package stories runs agents in tests as operators would: the recipes of
// docs/OPERATIONS.md, word for word, against real processes.
package stories

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nodedb/nodedb/agent/agenttest"
)

func TestMain(m *testing.M) {
	switch p := filepath.Base(os.Args[0]); p {
	case "ssh", "scp":
		os.Exit(remote(p))
	}
	os.Exit(m.Run())
}

var fence = regexp.MustCompile("(?s)<!-- story: ([a-z-]+) -->\n```sh\n(.*?)```")

// recipes reads the recipes out of the runbook.
func recipes(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		out[m[1]] = m[2]
	}
	return out
}

// world is the cluster that all stories share, one after the other.
type world struct {
	cluster *agenttest.Cluster
	recipes map[string]string
	told    map[string]bool // recipes that a story has run
	env     []string
}

// TestStories plays testdata/*.txtar in the order of their names.
func TestStories(t *testing.T) {
	for _, program := range []string{"bash", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the recipes need %s", program)
		}
	}
	w := &world{cluster: agenttest.Start(t, agenttest.Options{Nodes: 3, Ranges: 8}), recipes: recipes(t), told: map[string]bool{}}
	w.cluster.Reserve() // n4
	w.cluster.Reserve() // n5
	w.prepare(t)
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	slices.Sort(scripts)
	for _, s := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(s), ".txtar"), func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files: []string{s},
				Setup: func(e *testscript.Env) error { e.Vars = append(e.Vars, w.env...); return nil },
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"recipe": w.recipe, "crash": w.crash, "start": w.start, "debuglocal": w.debugLocal,
				},
			})
		})
		if t.Failed() {
			t.Fatal("the stories after this one build on it")
		}
	}
	for name := range w.recipes {
		if !w.told[name] {
			t.Errorf("docs/OPERATIONS.md has the recipe %s, which no story runs", name)
		}
	}
}

// prepare makes what every story finds: nodedbctl on PATH with a context that
// names all nodes, and ssh and scp to the hosts.
func (w *world) prepare(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	programs := w.cluster.Binaries()
	for name, to := range map[string]string{"ssh": self, "scp": self, "nodedbctl": programs.Ctl, "nodedb-agent": programs.Agent} {
		if err := os.Symlink(to, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	h := &hosts{cluster: w.cluster, dir: filepath.Join(dir, "hosts")}
	go func() { defer close(done); h.serve(l) }()
	t.Cleanup(func() { _ = l.Close(); <-done })
	config := filepath.Join(dir, "context.yaml")
	creds := w.cluster.CredsDir()
	var addrs []string
	for _, n := range w.cluster.Nodes() {
		addrs = append(addrs, n.Admin)
	}
	w.cluster.Ctl("--context-file", filepath.Join(creds, "context.yaml"), "whoami")
	add := exec.Command(programs.Ctl, "context", "add", "stories", "--addr", strings.Join(addrs, ","), "--ca", filepath.Join(creds, "ca.crt"),
		"--cert", filepath.Join(creds, "root.crt"), "--key", filepath.Join(creds, "root.key"))
	add.Env = append(os.Environ(), "NODEDBCTL_CONFIG="+config)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("context add: %v: %s", err, out)
	}
	w.env = []string{
		"NODEDBCTL_CONFIG=" + config, "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), socketVariable + "=" + socket,
		"PEER=" + w.cluster.Node(1).Admin, "HOME=" + dir,
	}
}

// recipe runs a recipe of the runbook as it stands there.
func (w *world) recipe(ts *testscript.TestScript, neg bool, args []string) {
	text, ok := w.recipes[args[0]]
	if !ok {
		ts.Fatalf("docs/OPERATIONS.md has no recipe %s", args[0])
	}
	w.told[args[0]] = true
	err := ts.Exec("bash", "-euo", "pipefail", "-c", text)
	if (err != nil) != neg {
		ts.Fatalf("recipe %s: %v", args[0], err)
	}
}

// crash is kill -9 of nodes.
func (w *world) crash(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		w.node(ts, name).Kill()
	}
}

func (w *world) start(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		w.node(ts, name).StartUnready()
	}
}

// debugLocal runs nodedbctl debug local on a node's data directory.
func (w *world) debugLocal(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("nodedbctl", append([]string{"debug", "local", "--data-dir", w.node(ts, args[0]).Dir}, args[1:]...)...)
	if (err != nil) != neg {
		ts.Fatalf("debug local %s: %v", args[0], err)
	}
}

func (w *world) node(ts *testscript.TestScript, name string) *agenttest.Node {
	for _, n := range w.cluster.Nodes() {
		if n.Name == name {
			return n
		}
	}
	ts.Fatalf("there is no node %s", name)
	panic(fmt.Sprintf("unreachable: %s", name))
}
