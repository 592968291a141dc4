package agenttest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refused wants a command that ends with code and says text in one sentence.
func refused(t *testing.T, r Result, code int, text string) {
	t.Helper()
	if r.Code != code || !strings.Contains(r.Stderr, text) {
		t.Errorf("exit %d, want %d and %q:\n%s%s", r.Code, code, text, r.Stdout, r.Stderr)
	}
	if r.Stdout != "" {
		t.Errorf("a refusal is on stdout: %q", r.Stdout)
	}
}

// lastLine is what a process said at its end, without the log before it.
func lastLine(r Result) Result {
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	r.Stderr = lines[len(lines)-1]
	return r
}

// content sums up a directory: every file but locks and sockets, with what is in it.
func content(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "LOCK" {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(text))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return b.String()
}

// unchanged wants that do leaves dir as it is.
func unchanged(t *testing.T, dir string, do func()) {
	t.Helper()
	before := content(t, dir)
	do()
	if after := content(t, dir); after != before {
		t.Errorf("%s has changed\nbefore: %s\nafter:  %s", dir, before, after)
	}
}

// clone copies the data directory of a node that is down; the copy is of no
// cluster and gets ports of its own.
func (c *Cluster) clone(n *Node) *Node {
	c.t.Helper()
	ports := freePorts(c.t)
	d := &Node{c: c, Number: n.Number, Name: n.Name + "-copy", Dir: n.Dir + "-copy",
		SQL: ports[0], RPC: ports[1], Gossip: ports[2], Admin: ports[3]}
	if err := os.Remove(filepath.Join(n.Dir, "agent.sock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	if err := os.CopyFS(d.Dir, os.DirFS(n.Dir)); err != nil {
		c.t.Fatal(err)
	}
	secrets, err := filepath.Glob(filepath.Join(d.Dir, "certs", "*"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range append(secrets, filepath.Join(d.Dir, "gossip.key")) {
		if err := os.Chmod(p, 0o600); err != nil { // CopyFS keeps to the umask
			c.t.Fatal(err)
		}
	}
	return d
}

func writeSecret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestJoinIsRefused: a join that cannot be says why, and leaves nothing behind.
func TestJoinIsRefused(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 1, Ranges: 4, Replicas: 1})
	good := strings.TrimSpace(c.Ctl("join-token", "create", "-o", "name"))
	parts := strings.Split(good, ".")
	parts[2] = strings.Repeat("A", len(parts[2]))
	used := strings.TrimSpace(c.Ctl("join-token", "create", "-o", "name"))
	c.AddNode()
	revoked := strings.TrimSpace(c.Ctl("join-token", "create", "-o", "name"))
	c.Ctl("join-token", "revoke", strings.Split(revoked, ".")[1])
	short := strings.TrimSpace(c.Ctl("join-token", "create", "--ttl", "1s", "-o", "name"))
	n := c.newNode()
	join := func(token, peer string) Result {
		return c.try(c.bin.Agent, append([]string{"join", "--data-dir", n.Dir, "--name", n.Name, "--peer", peer,
			"--token-file", writeSecret(t, token)}, n.listenFlags()...)...)
	}
	first := c.Node(1).Admin

	other := filepath.Join(t.TempDir(), "other")
	c.run(c.bin.Agent, append([]string{"init", "--data-dir", other}, n.listenFlags()...)...)
	if r := c.try(c.bin.Agent, "join", "--data-dir", other, "--peer", first, "--token-file", writeSecret(t, good)); r.Code == 0 {
		t.Error("the first node of another cluster joined")
	} else {
		refused(t, r, 78, "the token is for another cluster")
	}
	stranger := Start(t, Options{Nodes: 1, Ranges: 4, Replicas: 1})
	for _, tt := range []struct {
		name, token, peer string
		code              int
		text              string
	}{
		{"no token", "", first, 2, "join token"},
		{"a damaged token", good[:len(good)-3], first, 2, "join token"},
		{"a wrong secret", strings.Join(parts, "."), first, 78, "the join token is not known"},
		{"a revoked token", revoked, first, 78, "join token"},
		{"a wrong cluster", good, stranger.Node(1).Admin, 78, "is not of the cluster that the token is for; nothing was sent"},
		{"a node without the CA's key", good, c.Node(2).Admin, 78, "holds no CA key"},
		{"no node", good, "127.0.0.1:1", 69, "cannot reach the cluster"},
		{"a port that speaks no TLS", good, c.Node(1).Gossip, 69, "cannot reach the cluster"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, join(tt.token, tt.peer), tt.code, tt.text)
			if _, err := os.Stat(n.Dir); err == nil {
				t.Errorf("%s is left behind", n.Dir)
			}
		})
	}
	t.Run("an expired token", func(t *testing.T) {
		Eventually(t, 30*time.Second, "the token expires", func() error {
			for _, tok := range listed(t, c, "join-token", "ls") {
				if tok["id"] == strings.Split(short, ".")[1] && tok["state"] != "expired" {
					return fmt.Errorf("token is %v", tok["state"])
				}
			}
			return nil
		})
		refused(t, join(short, first), 78, "expired")
	})
	t.Run("a token twice", func(t *testing.T) {
		if r := join(used, first); r.Code != 0 {
			t.Fatalf("join: exit %d %s", r.Code, r.Stderr)
		}
		if r := join(used, first); r.Code != 0 {
			t.Errorf("the same join repeated: exit %d %s", r.Code, r.Stderr)
		}
		again := c.try(c.bin.Agent, "join", "--data-dir", n.Dir+"b", "--peer", first, "--token-file", writeSecret(t, used))
		refused(t, again, 78, "join token")
	})
}

func listed(t *testing.T, c *Cluster, args ...string) []map[string]any {
	t.Helper()
	items, err := c.List(args...)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// TestStartIsRefused: a node that must not run says why, and its data directory
// is as before.
func TestStartIsRefused(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 3, Ranges: 4})
	n := c.Node(3)
	n.Kill()
	start := func(d *Node, flags ...string) Result {
		return lastLine(c.try(c.bin.Agent, append(append([]string{"start", "--data-dir", d.Dir}, d.listenFlags()...), flags...)...))
	}
	t.Run("a port in use", func(t *testing.T) {
		for _, flag := range []string{"--listen-sql", "--listen-rpc", "--listen-gossip", "--listen-admin"} {
			unchanged(t, n.Dir, func() { refused(t, start(n, flag, c.Node(1).SQL), 2, "cannot listen on "+flag+" "+c.Node(1).SQL) })
		}
		udp, err := net.ListenPacket("udp", n.Gossip)
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		unchanged(t, n.Dir, func() { refused(t, start(n), 2, "cannot listen on --listen-gossip "+n.Gossip) })
	})
	t.Run("an unknown key", func(t *testing.T) {
		cfg := filepath.Join(t.TempDir(), "node.yaml")
		if err := os.WriteFile(cfg, []byte("listenSqk: 127.0.0.1:1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		unchanged(t, n.Dir, func() { refused(t, start(n, "--config", cfg), 2, "there is no setting listenSqk") })
	})
	t.Run("in use", func(t *testing.T) {
		refused(t, start(c.Node(1)), 73, "is in use by another process")
	})
	t.Run("a newer format", func(t *testing.T) {
		d := c.clone(n)
		defer os.RemoveAll(d.Dir)
		path := filepath.Join(d.Dir, "identity.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Replace(text, []byte(`"format": 2`), []byte(`"format": 3`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		unchanged(t, d.Dir, func() { refused(t, start(d), 73, "has format 3, this binary knows 2 at most") })
	})
	t.Run("the store of another node", func(t *testing.T) {
		c.Node(2).Kill()
		d, from := c.clone(n), c.clone(c.Node(2))
		c.Node(2).Start()
		defer os.RemoveAll(d.Dir)
		if err := errors.Join(os.RemoveAll(filepath.Join(d.Dir, "store")), os.Rename(filepath.Join(from.Dir, "store"), filepath.Join(d.Dir, "store"))); err != nil {
			t.Fatal(err)
		}
		refused(t, start(d), 78, "one of them was copied from elsewhere")
	})
	t.Run("another cluster", func(t *testing.T) {
		d := c.clone(n)
		defer os.RemoveAll(d.Dir)
		other := filepath.Join(t.TempDir(), "other")
		c.run(c.bin.Agent, append([]string{"init", "--data-dir", other}, d.listenFlags()...)...)
		if err := errors.Join(os.RemoveAll(filepath.Join(d.Dir, "certs")), os.Rename(filepath.Join(other, "certs"), filepath.Join(d.Dir, "certs"))); err != nil {
			t.Fatal(err)
		}
		unchanged(t, d.Dir, func() { refused(t, start(d), 78, "one of them was copied from elsewhere") })
	})
	t.Run("a wiped store", func(t *testing.T) {
		d := c.clone(n)
		defer os.RemoveAll(d.Dir)
		if err := os.RemoveAll(filepath.Join(d.Dir, "store")); err != nil {
			t.Fatal(err)
		}
		refused(t, start(d), 74, "the store of n3 is gone but its identity is not")
	})
	t.Run("a second process of one identity", func(t *testing.T) {
		d := c.clone(n)
		defer os.RemoveAll(d.Dir)
		n.Start()
		refused(t, start(d), 74, "the store lost what it had synced")
		if !n.Running() {
			t.Errorf("the node that was there first has ended:\n%s", n.LogTail(5))
		}
		c.WaitReplicated()
	})
}

// TestCredentialsAreRefused: exit 4 and a sentence, for nodedbctl and psql.
func TestCredentialsAreRefused(t *testing.T) {
	c := Start(t, Options{Nodes: 1, Ranges: 4, Replicas: 1})
	ca := filepath.Join(c.CredsDir(), "ca.crt")
	other := filepath.Join(t.TempDir(), "other")
	c.run(c.bin.Agent, "init", "--data-dir", other)
	creds := filepath.Join(other, "creds")
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "NODEDBCTL_CONFIG", "NODEDBCTL_TOKEN"} {
		t.Setenv(name, "") // no context, no credentials but those given
	}
	ctl := func(args ...string) Result {
		return c.try(c.bin.Ctl, append([]string{"status", "--addr", c.Node(1).Admin}, args...)...)
	}
	viewer := strings.TrimSpace(c.Ctl("token", "create", "--role", "viewer", "-o", "name"))
	if r := ctl("--ca", ca, "--token-file", writeSecret(t, viewer)); r.Code != 0 {
		t.Errorf("a good token: exit %d\n%s", r.Code, r.Stderr)
	}
	if r := c.try(c.bin.Ctl, "drain", "n1", "--addr", c.Node(1).Admin, "--ca", ca, "--token-file", writeSecret(t, viewer), "--yes"); r.Code != 4 {
		t.Errorf("a viewer drains: exit %d, want 4\n%s", r.Code, r.Stderr)
	}
	refused(t, ctl("--ca", filepath.Join(creds, "ca.crt"), "--token-file", writeSecret(t, viewer)), 4, "not signed by")
	refused(t, ctl("--ca", ca), 4, "")
	refused(t, ctl("--ca", ca, "--token-file", writeSecret(t, viewer[:len(viewer)-2])), 4, "token")
	refused(t, ctl("--ca", ca, "--cert", filepath.Join(creds, "root.crt"), "--key", filepath.Join(creds, "root.key")), 4, "")
	short := strings.TrimSpace(c.Ctl("token", "create", "--role", "viewer", "--ttl", "1s", "-o", "name"))
	Eventually(t, 30*time.Second, "the token expires", func() error {
		if r := ctl("--ca", ca, "--token-file", writeSecret(t, short)); r.Code != 4 || !strings.Contains(r.Stderr, "expired") {
			return fmt.Errorf("exit %d %s", r.Code, r.Stderr)
		}
		return nil
	})
	c.Ctl("token", "revoke", strings.Split(viewer, "_")[1])
	refused(t, ctl("--ca", ca, "--token-file", writeSecret(t, viewer)), 4, "revoked")

	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed: apt-get install postgresql-client")
	}
	for _, tt := range []struct{ ca, certs, want string }{
		{filepath.Join(creds, "ca.crt"), c.CredsDir(), "certificate verify failed"},
		{ca, creds, "unknown ca"},
	} {
		url := fmt.Sprintf("postgres://root@%s/nodedb?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s",
			c.Node(1).SQL, tt.ca, filepath.Join(tt.certs, "root.crt"), filepath.Join(tt.certs, "root.key"))
		out, err := exec.CommandContext(t.Context(), psql, url, "-X", "-c", "SELECT 1").CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("psql with a foreign certificate: %v %s, want %q", err, out, tt.want)
		}
	}
}

// TestFullDisk: the node says so and stops; with room it goes on, and every
// acknowledged row is there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a small file system cannot be mounted here (root can): %v", err)
	}
	c := &Cluster{t: t, bin: FindBinaries(t), dir: dir, opts: Options{Nodes: 1, Ranges: 4, Replicas: 1}}
	t.Cleanup(func() {
		c.stop()
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	n := c.newNode()
	fill := func(leave int64) {
		t.Helper()
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		size := int64(st.Bavail)*st.Bsize - leave
		if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	empty := func() {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
			t.Fatal(err)
		}
	}
	initialise := append([]string{"init", "--data-dir", n.Dir, "--name", n.Name, "--creds-dir", c.CredsDir(), "--ranges", "4", "--replicas", "1"}, n.listenFlags()...)
	fill(0)
	refused(t, c.try(c.bin.Agent, initialise...), 73, "no space left on device")
	if left := content(t, n.Dir); left != "" {
		t.Errorf("init on a full disk left %s", left)
	}
	empty()
	c.run(c.bin.Agent, initialise...)
	fill(1 << 20)
	unchanged(t, n.Dir, func() {
		refused(t, lastLine(c.try(c.bin.Agent, "start", "--data-dir", n.Dir)), 73, "the disk of "+n.Dir+" is full")
	})
	empty()
	fill(16 << 20)
	n.Start()
	conn, err := n.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t (id int8 PRIMARY KEY, b bytea)"); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for block := make([]byte, 64<<10); ; acknowledged++ {
		if _, err = conn.Exec(t.Context(), "INSERT INTO t VALUES ($1, $2)", acknowledged, block); err != nil {
			break
		}
	}
	if code := n.WaitExit(60 * time.Second); code != 73 || !strings.Contains(n.LogTail(1), "the disk of "+n.Dir+" is full") {
		t.Errorf("the node ended with %d, want 73: %s", code, n.LogTail(1))
	}
	if acknowledged == 0 {
		t.Fatalf("no row was written before the disk was full: %v", err)
	}
	empty()
	n.Start()
	var got int
	if conn, err = n.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM t WHERE id < $1", acknowledged).Scan(&got); err != nil || got != acknowledged {
		t.Errorf("%d rows are there of %d acknowledged (%v)", got, acknowledged, err)
	}
}
