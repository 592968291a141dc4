package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/nodedb/nodedb/agent"
)

// agentRun runs one command line.
func agentRun(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// TestFilesArePrivate makes a file as careless libraries do.
func TestFilesArePrivate(t *testing.T) {
	before := syscall.Umask(0o022)
	defer syscall.Umask(before)
	keepPrivate()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "f"), os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, f.Name(): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want mode %v", path, st.Mode(), err, want)
		}
	}
}

// TestVersion wants the version on the first line, for scripts, and below it
// what the binary was built from.
func TestVersion(t *testing.T) {
	code, out, _ := agentRun("version")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if code != 0 || len(lines) != 2 || lines[0] != "nodedb-agent "+version || !strings.HasPrefix(lines[1], "commit ") || !strings.Contains(lines[1], runtime.Version()) {
		t.Errorf("got %d\n%s", code, out)
	}
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	node := filepath.Join(dir, "n1")
	if code, out, errs := agentRun("init", "--data-dir", node, "--name", "alpha", "--ranges", "8", "--listen-sql", "127.0.0.1:7432"); code != 0 ||
		!strings.Contains(out, "psql \"postgres://root@127.0.0.1:7432") || !strings.Contains(out, "NODEDBCTL_CONFIG=") {
		t.Fatalf("init: %d\n%s%s", code, out, errs)
	}
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("ndbjoin1.aaaaaaaa."+strings.Repeat("A", 32)+"."+strings.Repeat("A", 43)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer")
	if code, _, errs := agentRun("init", "--data-dir", newer); code != 0 {
		t.Fatal(errs)
	}
	rewrite(t, filepath.Join(newer, "identity.json"), `"format": 2`, `"format": 99`)
	copied := filepath.Join(dir, "copied")
	if code, _, errs := agentRun("init", "--data-dir", copied); code != 0 {
		t.Fatal(errs)
	}
	for _, name := range []string{"ca.crt", "node.crt", "node.key"} {
		b, err := os.ReadFile(filepath.Join(node, "certs", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, "certs", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	empty := t.TempDir()
	tests := []struct {
		args string
		code int
		text string // on stderr
	}{
		{"", agent.ExitUsage, "Exit codes"},
		{"help", 0, ""},
		{"version", 0, ""},
		{"config print --data-dir " + node, 0, ""},
		{"nonsense", agent.ExitUsage, `no command "nonsense"`},
		{"start --nonsense", agent.ExitUsage, "unknown flag --nonsense"},
		{"version --nonsense", agent.ExitUsage, "unknown flag --nonsense"},
		{"init --ranges many", agent.ExitUsage, `invalid value "many" for flag -ranges`},
		{"start", agent.ExitUsage, "--data-dir"},
		{"start extra", agent.ExitUsage, `"extra"`},
		{"start --data-dir " + empty, agent.ExitDataDir, "holds no node"},
		{"start --data-dir " + newer, agent.ExitDataDir, "format 99"},
		{"start --data-dir " + copied, agent.ExitIdentity, "copied from elsewhere"},
		{"start --data-dir " + node + " --listen-rpc nowhere", agent.ExitUsage, "--listen-rpc"},
		{"start --data-dir " + node + " --log-level loud", agent.ExitUsage, "logLevel"},
		{"init --data-dir " + node, agent.ExitDataDir, "in use"},
		{"init --data-dir " + filepath.Join(dir, "x") + " --ranges 0", agent.ExitUsage, "--ranges"},
		{"init", agent.ExitUsage, "--data-dir"},
		{"init --data-dir " + filepath.Join(dir, "x") + " --dead-after 1ms", agent.ExitUsage, "--dead-after"},
		{"join --data-dir " + filepath.Join(dir, "y") + " --peer 127.0.0.1:1", agent.ExitUsage, "--token-file"},
		{"join --data-dir " + filepath.Join(dir, "y") + " --peer nowhere --token-file " + token, agent.ExitUsage, "--peer"},
		{"join --data-dir " + filepath.Join(dir, "y") + " --peer 127.0.0.1:1 --token-file " + token, agent.ExitUnreachable, "cannot reach"},
		{"join --data-dir " + node + " --peer 127.0.0.1:1 --token-file " + token, agent.ExitIdentity, "another cluster"},
		{"clock", agent.ExitUsage, "--data-dir D [--lower-to TIME]"},
		{"clock --data-dir " + node + " --lower-to soon", agent.ExitUsage, "2026-11-29T08:00:00Z"},
		{"clock --data-dir " + empty, agent.ExitDataDir, "holds no node"},
		{"drain", agent.ExitUsage, "usage"},
		{"drain --self --data-dir " + node, agent.ExitUnreachable, "no node answers"},
		{"drain --self --data-dir " + node + " --on-deadline never", agent.ExitUsage, "usage"},
		{"config show", agent.ExitUsage, "usage"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, _, errs := agentRun(strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(errs, tt.text) {
				t.Errorf("got %d %q, want %d %q", code, errs, tt.code, tt.text)
			}
			if code != 0 && tt.args != "" && tt.args != "nonsense" && strings.Count(errs, "\n") != 1 {
				t.Errorf("not one sentence: %q", errs)
			}
		})
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("start left %v in an empty directory", left)
	}
	for _, name := range []string{"x", "y"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was left behind", name)
		}
	}
}

func rewrite(t *testing.T, path, from, to string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(from), []byte(to), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStartRefusesAPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	node := filepath.Join(t.TempDir(), "n1")
	if code, _, errs := agentRun("init", "--data-dir", node, "--listen-rpc", l.Addr().String()); code != 0 {
		t.Fatal(errs)
	}
	code, _, errs := agentRun("start", "--data-dir", node)
	if code != agent.ExitUsage || !strings.Contains(errs, "cannot listen on --listen-rpc "+l.Addr().String()) {
		t.Errorf("got %d %q", code, errs)
	}
	if _, err := os.Stat(filepath.Join(node, "store")); err == nil {
		t.Error("the store was made")
	}
}

func TestConfigPrint(t *testing.T) {
	node := filepath.Join(t.TempDir(), "n1")
	if code, _, errs := agentRun("init", "--data-dir", node, "--listen-sql", "127.0.0.1:7432", "--locality", "zone=a"); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := agentRun("config", "print", "--data-dir", node, "--listen-sql", "127.0.0.1:9")
	if code != 0 || !strings.Contains(out, "listenSql: 127.0.0.1:9\n") || !strings.Contains(out, "locality: zone=a\n") || !strings.Contains(out, "# memory in force: ") {
		t.Errorf("got %d %s%s", code, out, errs)
	}
	rewrite(t, agent.ConfigPath(node), "locality:", "loclity:")
	if code, _, errs := agentRun("start", "--data-dir", node); code != agent.ExitUsage || !strings.Contains(errs, "loclity") {
		t.Errorf("unknown key: got %d %q", code, errs)
	}
}

// drain --self waits over the unix socket until the node is drained.
func TestDrainSelf(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", agent.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	states := []string{"ready", "draining", "draining", "drained"}
	asked := ""
	mux := http.NewServeMux()
	mux.HandleFunc("POST /health/drain", func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"service":%q}`, states[0])
		if len(states) > 1 {
			states = states[1:]
		}
	})
	s := &http.Server{Handler: mux}
	defer s.Close()
	go func() { _ = s.Serve(l) }()
	code, out, errs := agentRun("drain", "--self", "--data-dir", dir, "--deadline", "30s", "--on-deadline", "force")
	if code != 0 || !strings.Contains(out, "safe to stop") || !strings.Contains(asked, "deadline=30s") || !strings.Contains(asked, "force") {
		t.Errorf("got %d %q %q, asked %q", code, out, errs, asked)
	}
	states = []string{"ready", "draining", "ready"}
	if code, _, errs := agentRun("drain", "--self", "--data-dir", dir); code == 0 || !strings.Contains(errs, "without success") {
		t.Errorf("a drain that failed: got %d %q", code, errs)
	}
}
