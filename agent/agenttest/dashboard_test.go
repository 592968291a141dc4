package agenttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// terminal is a terminal of tmux, in which a command runs.
type terminal struct {
	t      *testing.T
	socket string
}

func startTerminal(t *testing.T, width, height int, command string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed: apt-get install tmux")
	}
	m := &terminal{t: t, socket: filepath.Join(t.TempDir(), "tmux")}
	t.Cleanup(func() { _ = m.command("kill-server").Run() })
	m.do("new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command+"; echo exit=$?; cat")
	m.do("set", "-g", "status", "off")
	m.resize(width, height)
	return m
}

func (m *terminal) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "tmux", append([]string{"-S", m.socket, "-f", "/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	return cmd
}

func (m *terminal) do(args ...string) string {
	m.t.Helper()
	out, err := m.command(args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

func (m *terminal) resize(width, height int) {
	m.do("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
}

func (m *terminal) text() string { return m.do("capture-pane", "-p") }

func (m *terminal) keys(keys ...string) { m.do(append([]string{"send-keys"}, keys...)...) }

// see waits until all words are on the screen.
func (m *terminal) see(timeout time.Duration, words ...string) string {
	m.t.Helper()
	var text string
	Eventually(m.t, timeout, "the dashboard", func() error {
		text = m.text()
		for _, w := range words {
			if !strings.Contains(text, w) {
				return fmt.Errorf("no %q on the screen:\n%s", w, text)
			}
		}
		return nil
	})
	return text
}

// TestDashboardDecommissionsANode takes a node out from the keyboard, in a real
// terminal, on a cluster of processes: from the plan to the proof.
func TestDashboardDecommissionsANode(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 4})
	psql(t, c.Node(1), "CREATE COLLECTION users (id int8 PRIMARY KEY, name text)")
	psql(t, c.Node(1), "INSERT INTO users VALUES (1, 'ada'), (2, 'linus'), (3, 'grace')")
	m := startTerminal(t, 80, 24, fmt.Sprintf("%s --context-file %s tui", c.bin.Ctl, filepath.Join(c.CredsDir(), "context.yaml")))
	m.see(30*time.Second, "HEALTHY", "live", "root admin", "4 ready")
	m.resize(120, 40)
	m.keys("2")
	m.see(10*time.Second, "SESSIONS", "n4")
	m.keys("/node:n4", "Enter")
	m.see(10*time.Second, "node:n4", "esc clears")
	// While ranges are still being spread over the new node, a plan is refused.
	Eventually(t, time.Minute, "a plan for n4", func() error {
		m.keys("X")
		text := m.see(20*time.Second, "decommission n4", "esc closes")
		if strings.Contains(text, "type n4 to decommission") && strings.Contains(text, "plan pl-") {
			return nil
		}
		m.keys("Escape")
		Eventually(t, 10*time.Second, "the dialog closes", func() error {
			if strings.Contains(m.text(), "esc closes ") {
				return errors.New("it is open")
			}
			return nil
		})
		return fmt.Errorf("the dialog shows:\n%s", text)
	})
	m.keys("n4")
	m.see(10*time.Second, "enter does it")
	m.keys("Enter")
	m.see(2*time.Minute, "succeeded", "0 references", "power off, delete the volume")
	m.keys("Enter") // opens the operation
	m.see(10*time.Second, "op-", "decommission n4", "tombstone")
	m.keys("6") // and the view of all
	m.keys("Escape")
	m.see(10*time.Second, "WHAT", "succeeded")
	if code := c.Node(4).WaitExit(30 * time.Second); code != 0 {
		t.Errorf("the process of n4 ended with code %d", code)
	}
	m.keys("1")
	m.see(30*time.Second, "HEALTHY", "3/3 nodes")

	// A node that dies is noticed, and what is shown moves to another node.
	c.Node(1).Kill()
	m.see(60*time.Second, "DEGRADED", "live")
	m.keys("q")
	m.see(10*time.Second, "exit=0")
	if got := psql(t, c.Node(2), "SELECT count(*) FROM users"); got != "3" {
		t.Errorf("rows after the decommission: %s, want 3", got)
	}
}
