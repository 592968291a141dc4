package agenttest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Node is one nodedb-agent process, running or not.
type Node struct {
	c                       *Cluster
	Number                  int
	Name, Dir               string
	SQL, RPC, Gossip, Admin string // host:port
	// Agent is the nodedb-agent that Start starts; empty: the cluster's.
	Agent string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	code int
}

func (n *Node) listenFlags() []string {
	flags := []string{"--listen-sql", n.SQL, "--listen-rpc", n.RPC, "--listen-gossip", n.Gossip, "--listen-admin", n.Admin}
	if at := n.c.opts.Locality; at != nil {
		flags = append(flags, "--locality", at(n.Number))
	}
	return flags
}

// JoinFlags are the flags of nodedb-agent join that are this node's own.
func (n *Node) JoinFlags() []string {
	return append([]string{"--data-dir", n.Dir, "--name", n.Name}, n.listenFlags()...)
}

// StartUnready starts the process and does not wait.
func (n *Node) StartUnready() {
	n.c.t.Helper()
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.c.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	args := append([]string{"start", "--data-dir", n.Dir}, n.c.opts.StartFlags...)
	n.cmd = exec.CommandContext(context.Background(), cmp.Or(n.Agent, n.c.bin.Agent), args...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.Env = append(os.Environ(), clockFileVariable+"="+n.clockPath())
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		n.c.t.Fatal(err)
	}
	n.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		n.code = cmd.ProcessState.ExitCode()
		close(done)
	}(n.cmd, n.done)
}

// Start starts the process and waits until /healthz answers 200.
func (n *Node) Start() {
	n.c.t.Helper()
	n.StartUnready()
	n.WaitReady()
}

// WaitReady waits until the node serves clients.
func (n *Node) WaitReady() {
	n.c.t.Helper()
	Eventually(n.c.t, StartTimeout, n.Name+" ready", func() error {
		select {
		case <-n.done:
			n.c.t.Fatalf("%s ended with code %d:\n%s", n.Name, n.code, n.LogTail(30))
		default:
		}
		code, body, err := n.HTTP("/healthz")
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("/healthz answers %d %s", code, body)
		}
		return err
	})
}

// clockFileVariable is how builds for tests are told of a file that moves their wall
// clock; see agent/clockhook_on.go.
const clockFileVariable = "NODEDB_TEST_CLOCK_FILE"

func (n *Node) clockPath() string { return n.Dir + ".clock" }

// SetClock moves the wall clock of the node's machine, as the node sees it, from now
// on and through restarts. It has no effect on a production build.
func (n *Node) SetClock(offset time.Duration) {
	n.c.t.Helper()
	next := n.clockPath() + ".new"
	err := os.WriteFile(next, []byte(offset.String()), 0o600)
	if err == nil {
		err = os.Rename(next, n.clockPath())
	}
	if err != nil {
		n.c.t.Fatal(err)
	}
}

// HTTP gets a path of the admin port without credentials.
func (n *Node) HTTP(path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.Admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	return n.do(req)
}

// do sends a request that trusts the cluster's CA.
func (n *Node) do(req *http.Request) (status int, body string, err error) {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: n.c.ca(), MinVersion: tls.VersionTLS13}, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// Kill is kill -9, and waits until the process is gone.
func (n *Node) Kill() { n.end(syscall.SIGKILL) }

// Terminate is SIGTERM: the node drains, then stops. It returns the exit code.
func (n *Node) Terminate() int { return n.end(syscall.SIGTERM) }

// Signal sends any signal and does not wait.
func (n *Node) Signal(sig syscall.Signal) { kill(n.cmd, sig) }

// WaitExit waits until the process ends by itself and returns its exit code.
func (n *Node) WaitExit(timeout time.Duration) int {
	n.c.t.Helper()
	defer tellLong(n.c.t, time.Now(), n.Name+" ends")
	select {
	case <-n.done:
	case <-time.After(timeout):
		n.c.t.Fatalf("%s has not ended within %s:\n%s", n.Name, timeout, n.LogTail(30))
	}
	return n.code
}

func (n *Node) end(sig syscall.Signal) int {
	if n.cmd == nil {
		return 0
	}
	select {
	case <-n.done:
		return n.code
	default:
	}
	kill(n.cmd, sig)
	select {
	case <-n.done:
	case <-time.After(90 * time.Second):
		kill(n.cmd, syscall.SIGKILL)
		<-n.done
		n.c.t.Errorf("%s did not end within 90 s of %s", n.Name, sig)
	}
	return n.code
}

// PID is the id of the process, and of its process group. The node must have
// been started.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Running reports whether the process lives.
func (n *Node) Running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// URL is a PostgreSQL URL of this node, as user root with the client certificate.
func (n *Node) URL() string {
	d := n.c.CredsDir()
	return fmt.Sprintf("postgres://root@%s/nodedb?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s",
		n.SQL, filepath.Join(d, "ca.crt"), filepath.Join(d, "root.crt"), filepath.Join(d, "root.key"))
}

// Connect opens a session on this node.
func (n *Node) Connect(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, n.URL()) }

// LogTail returns the last lines of the node's log.
func (n *Node) LogTail(lines int) string {
	b, err := os.ReadFile(n.logPath())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// LogWith returns the lines of the node's log that contain text.
func (n *Node) LogWith(text string) (out []string) {
	b, err := os.ReadFile(n.logPath())
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, text) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func (n *Node) logPath() string { return n.Dir + ".log" }

func (c *Cluster) ca() *x509.CertPool {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(c.CredsDir(), "ca.crt"))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		c.t.Fatalf("read the cluster's CA: %v", err)
	}
	return pool
}

// List decodes `nodedbctl ARGS -o json` of a list kind.
func (c *Cluster) List(args ...string) ([]map[string]any, error) {
	r := c.TryCtl(append(args, "-o", "json")...)
	if r.Code != 0 {
		return nil, fmt.Errorf("nodedbctl %s: exit %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	var doc struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil {
		return nil, fmt.Errorf("nodedbctl %s: %w in %s", strings.Join(args, " "), err, r.Stdout)
	}
	return doc.Items, nil
}

// WaitReplicated waits until every range is healthy: as many voters as declared
// (or as there are nodes) and a leader.
func (c *Cluster) WaitReplicated() {
	c.t.Helper()
	Eventually(c.t, 2*time.Minute, "all ranges healthy", func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		if len(ranges) < c.opts.Ranges+1 {
			return fmt.Errorf("%d ranges listed, want %d or more", len(ranges), c.opts.Ranges+1)
		}
		for _, r := range ranges {
			if r["state"] != "healthy" {
				return fmt.Errorf("range %v is %v", r["id"], r["state"])
			}
		}
		return nil
	})
}
