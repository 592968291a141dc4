// Package agenttest runs agents in tests: real nodedb-agent processes on free
// loopback ports, driven through nodedbctl, psql and pgx.
//
// # Concurrency
//
// A Cluster belongs to one test; its methods may be called from several
// goroutines of that test, but not for the same node at once. Clusters run beside
// each other: a test calls t.Parallel unless its nodes need the machine to
// themselves, and says why it does not.
//
// # What is not here
//
// No simulation (agent/internal/sim), no fakes: what a test sees here, an
// operator sees.
package agenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// StartTimeout bounds how long a process may take until it is ready.
const StartTimeout = 60 * time.Second

// Binaries are the paths of the programs under test.
type Binaries struct{ Agent, Ctl string }

// FindBinaries returns the binaries of the directory NODEDB_BIN, or else those
// that `make build` put into bin/.
func FindBinaries(t testing.TB) Binaries {
	t.Helper()
	if dir := os.Getenv("NODEDB_BIN"); dir != "" {
		return binariesIn(t, dir)
	}
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for { // up to the repository's root
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("not inside the repository")
		}
		dir = filepath.Dir(dir)
	}
	return binariesIn(t, filepath.Join(dir, "bin"))
}

func binariesIn(t testing.TB, dir string) Binaries {
	t.Helper()
	b := Binaries{Agent: filepath.Join(dir, "nodedb-agent"), Ctl: filepath.Join(dir, "nodedbctl")}
	for _, p := range []string{b.Agent, b.Ctl} {
		if _, err := os.Stat(p); err != nil {
			t.Fatalf("%v: run make build, or make cluster, first", err)
		}
	}
	return b
}

// Options shape a cluster.
type Options struct {
	Nodes    int // default 3
	Ranges   int // default 16: cluster tests share two cores
	Replicas int // default 3
	// Growing clusters begin with fewer nodes than replicas: nobody waits for those.
	Growing bool
	// Locality says where the node of a number is; nil: nowhere.
	Locality func(number int) string
	// InitFlags are added to init, StartFlags to every node's start.
	InitFlags, StartFlags []string
}

// Cluster is a running cluster of processes.
type Cluster struct {
	t    testing.TB
	bin  Binaries
	dir  string
	opts Options

	mu    sync.Mutex
	nodes []*Node // by number, 1 first
}

// Start makes a cluster of opts.Nodes secure nodes and waits until every one is
// ready, for itself and for the others, and all ranges have their replicas.
func Start(t testing.TB, opts Options) *Cluster {
	t.Helper()
	if opts.Nodes == 0 {
		opts.Nodes = 3
	}
	if opts.Ranges == 0 {
		opts.Ranges = 16
	}
	if opts.Replicas == 0 {
		opts.Replicas = 3
	}
	c := &Cluster{t: t, bin: FindBinaries(t), dir: t.TempDir(), opts: opts}
	t.Cleanup(c.stop)
	n1 := c.newNode()
	args := []string{"init", "--data-dir", n1.Dir, "--name", n1.Name, "--creds-dir", c.CredsDir(),
		"--ranges", fmt.Sprint(opts.Ranges), "--replicas", fmt.Sprint(opts.Replicas)}
	args = append(args, opts.InitFlags...)
	c.run(c.bin.Agent, append(args, n1.listenFlags()...)...)
	n1.Start()
	for range opts.Nodes - 1 {
		c.AddNode()
	}
	if !opts.Growing {
		c.waitMembers()
		c.WaitReplicated()
	}
	return c
}

// waitMembers waits until the cluster takes every node for ready. The last to join says
// so of itself before, and a plan would lack it.
func (c *Cluster) waitMembers() {
	c.t.Helper()
	args := []string{"wait", "--for", "ready"}
	for _, n := range c.Nodes() {
		args = append(args, n.Name)
	}
	c.Ctl(args...)
}

// AddNode joins one more node, starts it and waits until it is ready.
func (c *Cluster) AddNode() *Node {
	c.t.Helper()
	n := c.newNode()
	token := filepath.Join(c.dir, n.Name+".token")
	out := c.Ctl("join-token", "create", "-o", "name")
	if err := os.WriteFile(token, []byte(strings.TrimSpace(out)+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	args := []string{"join", "--data-dir", n.Dir, "--name", n.Name, "--peer", c.Node(1).Admin, "--token-file", token}
	c.run(c.bin.Agent, append(args, n.listenFlags()...)...)
	n.Start()
	return n
}

// Reserve names one more node and its ports. It is no member until somebody runs
// nodedb-agent join for it with JoinFlags.
func (c *Cluster) Reserve() *Node { return c.newNode() }

// Binaries are the programs that the cluster runs.
func (c *Cluster) Binaries() Binaries { return c.bin }

// CredsDir holds the admin's certificate, token and context.yaml.
func (c *Cluster) CredsDir() string { return filepath.Join(c.dir, "creds") }

// Node returns node number i, from 1.
func (c *Cluster) Node(i int) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i-1]
}

// Nodes returns all nodes, stopped ones too.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Node(nil), c.nodes...)
}

// Ctl runs nodedbctl, fails the test if it exits other than 0, and returns stdout.
func (c *Cluster) Ctl(args ...string) string {
	c.t.Helper()
	r := c.TryCtl(args...)
	if r.Code != 0 {
		c.t.Fatalf("nodedbctl %s: exit %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Result is what a finished command left.
type Result struct {
	Code           int
	Stdout, Stderr string
	Took           time.Duration
}

// TryCtl runs nodedbctl and returns whatever happens. All nodes' addresses are
// given, so that it works while some are down.
func (c *Cluster) TryCtl(args ...string) Result {
	c.t.Helper()
	var addrs []string
	for _, n := range c.Nodes() {
		addrs = append(addrs, n.Admin)
	}
	args = append([]string{"--context-file", filepath.Join(c.CredsDir(), "context.yaml"), "--addr", strings.Join(addrs, ",")}, args...)
	return c.try(c.bin.Ctl, args...)
}

func (c *Cluster) try(bin string, args ...string) Result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	began := time.Now()
	err := cmd.Run()
	r := Result{Stdout: out.String(), Stderr: errb.String(), Took: time.Since(began)}
	tellLong(c.t, began, filepath.Base(bin)+" "+strings.Join(args, " "))
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	case err != nil:
		c.t.Fatalf("%s: %v", filepath.Base(bin), err)
	}
	return r
}

func (c *Cluster) run(bin string, args ...string) {
	c.t.Helper()
	if r := c.try(bin, args...); r.Code != 0 {
		c.t.Fatalf("%s %s: exit %d\n%s%s", filepath.Base(bin), strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
}

func (c *Cluster) newNode() *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := len(c.nodes) + 1
	ports := freePorts(c.t)
	n := &Node{
		c: c, Number: i, Name: fmt.Sprintf("n%d", i), Dir: filepath.Join(c.dir, fmt.Sprintf("n%d", i)),
		SQL: ports[0], RPC: ports[1], Gossip: ports[2], Admin: ports[3],
	}
	c.nodes = append(c.nodes, n)
	return n
}

func (c *Cluster) stop() {
	for _, n := range c.Nodes() {
		n.Kill()
	}
	if c.t.Failed() {
		for _, n := range c.Nodes() {
			c.t.Logf("last log lines of %s:\n%s", n.Name, n.LogTail(40))
		}
	}
}

// Eventually calls check until it returns nil, and fails the test with the last
// error after timeout.
func Eventually(t testing.TB, timeout time.Duration, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for {
		err := check()
		if err == nil {
			tellLong(t, begun, what)
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, timeout, err)
		case <-tick.C:
		}
	}
}

// tellLong prints what a test has waited for: who wants tests to take less time begins there.
func tellLong(t testing.TB, begun time.Time, what string) {
	t.Helper()
	if took := time.Since(begun); took > 2*time.Second {
		t.Logf("took %s: %s", took.Round(100*time.Millisecond), what)
	}
}

// kill sends sig to the process group of a node.
func kill(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }
