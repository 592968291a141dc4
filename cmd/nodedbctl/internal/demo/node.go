package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// logLines is how much of a node's log is shown when it fails.
const logLines = 15

// node is one nodedb-agent process, running or not.
type node struct {
	c                       *cluster
	name, dir               string
	sql, rpc, gossip, admin string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

func (c *cluster) newNode() (*node, error) {
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := fmt.Sprintf("n%d", len(c.nodes)+1)
	n := &node{c: c, name: name, dir: filepath.Join(c.dir, name), sql: ports[0], rpc: ports[1], gossip: ports[2], admin: ports[3]}
	c.nodes = append(c.nodes, n)
	return n, nil
}

func (n *node) listenFlags() []string {
	return []string{"--listen-sql", n.sql, "--listen-rpc", n.rpc, "--listen-gossip", n.gossip, "--listen-admin", n.admin}
}

// start starts the process; its output goes to a log beside its directory.
func (n *node) start() error {
	log, err := os.OpenFile(n.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	defer func() { _ = log.Close() }() // the process has its own copy
	// The process's end is the cluster's business, not that of a context.
	cmd := exec.CommandContext(context.Background(), n.c.agent, "start", "--data-dir", n.dir)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, processAttr()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	done := make(chan struct{})
	n.mu.Lock()
	n.cmd, n.done = cmd, done
	n.mu.Unlock()
	go func() {
		defer close(done)
		_ = cmd.Wait() // the exit code is read from ProcessState
	}()
	return nil
}

// ended reports whether the process has ended, and its exit code (-1: killed).
func (n *node) ended() (code int, ended bool) {
	n.mu.Lock()
	cmd, done := n.cmd, n.done
	n.mu.Unlock()
	if cmd == nil {
		return 0, false
	}
	select {
	case <-done:
		return cmd.ProcessState.ExitCode(), true
	default:
		return 0, false
	}
}

// wait waits until the process has ended by itself.
func (n *node) wait(ctx context.Context) (int, error) {
	n.mu.Lock()
	cmd, done := n.cmd, n.done
	n.mu.Unlock()
	select {
	case <-done:
		return cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

// kill ends the process and its children. Its data is thrown away: there is
// nothing to hand over or flush.
func (n *node) kill() {
	n.mu.Lock()
	cmd, done := n.cmd, n.done
	n.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-done
}

func (n *node) logTail() string {
	b, err := os.ReadFile(n.dir + ".log")
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n")
}
