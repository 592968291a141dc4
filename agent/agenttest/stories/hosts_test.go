package stories

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
)

// The recipes reach machines by ssh and scp. Here each node is a machine of its
// own: this test's binary, under those names, asks the test to do on a "host"
// what the recipe asks for. Everything of NodeDB itself is real.

// errand is what ssh or scp was asked to do, and where.
type errand struct {
	Program string   `json:"program"`
	Args    []string `json:"args"`
	Dir     string   `json:"dir"`
}

type outcome struct {
	Code   int    `json:"code"`
	Output string `json:"output"`
}

const socketVariable = "STORIES_SOCKET"

// remote is main of the programs ssh and scp.
func remote(program string) int {
	dir, err := os.Getwd()
	if err != nil {
		return 255
	}
	c, err := net.Dial("unix", os.Getenv(socketVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	defer func() { _ = c.Close() }()
	var out outcome
	if err = json.NewEncoder(c).Encode(errand{program, os.Args[1:], dir}); err == nil {
		err = json.NewDecoder(c).Decode(&out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	fmt.Fprint(os.Stdout, out.Output)
	return out.Code
}

// hosts does errands on the nodes of a cluster.
type hosts struct {
	cluster *agenttest.Cluster
	dir     string // home directories
}

func (h *hosts) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		h.answer(c)
	}
}

func (h *hosts) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	var e errand
	if err := json.NewDecoder(c).Decode(&e); err != nil {
		return
	}
	out, err := h.do(&e)
	o := outcome{Output: out}
	if err != nil {
		o = outcome{Code: 1, Output: out + err.Error() + "\n"}
	}
	_ = json.NewEncoder(c).Encode(o) // a recipe that is gone needs no answer
}

func (h *hosts) do(e *errand) (string, error) {
	if e.Program == "scp" {
		return "", h.copy(e)
	}
	if len(e.Args) < 2 {
		return "", fmt.Errorf("ssh: no command")
	}
	n := h.node(e.Args[0])
	if n == nil {
		return "", fmt.Errorf("ssh: no host %s", e.Args[0])
	}
	switch cmd := e.Args[1:]; {
	case cmd[0] == "systemctl" && len(cmd) == 3 && cmd[2] == "nodedb":
		if cmd[1] == "restart" && n.Running() {
			n.WaitExit(time.Minute) // the drain has asked it to stop
		}
		n.StartUnready()
		return "", nil
	case cmd[0] == "nodedb-agent" && cmd[1] == "join":
		return h.join(n, cmd[2:])
	default:
		return "", fmt.Errorf("%s: cannot run %s", n.Name, strings.Join(cmd, " "))
	}
}

func (h *hosts) node(name string) *agenttest.Node {
	nodes := h.cluster.Nodes()
	if i := slices.IndexFunc(nodes, func(n *agenttest.Node) bool { return n.Name == name }); i >= 0 {
		return nodes[i]
	}
	return nil
}

// join runs nodedb-agent on the host: its data directory is elsewhere, and its
// ports are its own, because all hosts are one machine.
func (h *hosts) join(n *agenttest.Node, args []string) (string, error) {
	var own []string
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] != "--data-dir" && args[i] != "--name" {
			own = append(own, args[i], args[i+1])
		}
	}
	cmd := exec.Command(h.cluster.Binaries().Agent, append(append([]string{"join"}, own...), n.JoinFlags()...)...)
	cmd.Dir = h.home(n.Name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (h *hosts) home(name string) string { return filepath.Join(h.dir, name) }

// copy is scp -p FILE HOST: with the file's mode.
func (h *hosts) copy(e *errand) error {
	if len(e.Args) != 3 || e.Args[0] != "-p" {
		return fmt.Errorf("scp: only -p FILE HOST: is known here")
	}
	host, ok := strings.CutSuffix(e.Args[2], ":")
	if !ok || h.node(host) == nil {
		return fmt.Errorf("scp: no host %s", e.Args[2])
	}
	from := filepath.Join(e.Dir, e.Args[1])
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := os.MkdirAll(h.home(host), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(h.home(host), e.Args[1]), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}
