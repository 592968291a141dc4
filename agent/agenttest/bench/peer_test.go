//go:build bench

package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest"
)

// peer is a system that is measured beside ours: a prepared or plain write of a
// small row, and a linearizable read by key. Nil: not measured.
type peer struct {
	name        string
	write, read func(t *testing.T, clients int, d time.Duration) measured
	stop        func()
}

// freePort returns host and port that were free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// startPeer runs a program until the peer is stopped, as a user other than root
// if as is set.
func startPeer(t *testing.T, as *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, filepath.Base(name)+strconv.Itoa(freePort(t))+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: as}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func stopAll(cmds ...*exec.Cmd) {
	for _, c := range cmds {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
	}
}

func pids(cmds ...*exec.Cmd) []int {
	var ids []int
	for _, c := range cmds {
		ids = append(ids, c.Process.Pid)
	}
	return ids
}

// unprivileged is who runs programs that refuse to be root.
func unprivileged() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
}

// postgres starts one PostgreSQL server with its defaults: fsync is on.
func postgres(t *testing.T) (*sqlSystem, func()) {
	path, err := exec.LookPath("postgres")
	if err != nil {
		return nil, nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	as := unprivileged()
	dir, err := os.MkdirTemp("", "bench-postgres") //nolint:usetesting // another user must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(path), "initdb"), "-A", "trust", "-U", "root", "-D", filepath.Join(dir, "data"))
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := freePort(t)
	cmd := startPeer(t, as, dir, path, "-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(port), "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200")
	s := &sqlSystem{name: "postgres", urls: []string{fmt.Sprintf("postgres://root@127.0.0.1:%d/postgres?sslmode=disable", port)}, cpu: cpuOf(cmd.Process.Pid)}
	stop := func() {
		stopAll(cmd)
		_ = os.RemoveAll(dir)
	}
	agenttest.Eventually(t, time.Minute, "postgres answers", func() error {
		conn, err := pgx.Connect(t.Context(), s.urls[0])
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err
	})
	return s, stop
}

func postgresPeer(t *testing.T) *peer {
	s, stop := postgres(t)
	if s == nil {
		return nil
	}
	s.setUp(t)
	return &peer{name: "postgres", stop: stop, write: s.inserts, read: s.selects}
}

// rawCodec carries messages that were encoded by hand: etcd's two calls are not
// worth its client library.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = bytes.Clone(data)
	return nil
}
func (rawCodec) Name() string { return "proto" }

// etcdPeer starts a cluster of three and puts and reads keys over gRPC.
func etcdPeer(t *testing.T) *peer {
	path, err := exec.LookPath("etcd")
	if err != nil {
		return nil
	}
	dir := t.TempDir()
	var cmds []*exec.Cmd
	var clients, peers, initial []string
	for i := range 3 {
		clients = append(clients, fmt.Sprintf("127.0.0.1:%d", freePort(t)))
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", freePort(t)))
		initial = append(initial, fmt.Sprintf("e%d=%s", i, peers[i]))
	}
	for i := range 3 {
		client := "http://" + clients[i]
		cmds = append(cmds, startPeer(t, nil, dir, path, "--name", fmt.Sprintf("e%d", i), "--data-dir", filepath.Join(dir, fmt.Sprintf("e%d", i)),
			"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peers[i],
			"--initial-advertise-peer-urls", peers[i], "--initial-cluster", strings.Join(initial, ","), "--log-level", "error"))
	}
	var conns []*grpc.ClientConn
	for _, addr := range clients {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	call := func(ctx context.Context, client int, method string, fields ...string) error {
		var request, reply []byte
		for i, f := range fields {
			request = protowire.AppendString(protowire.AppendTag(request, protowire.Number(i+1), protowire.BytesType), f)
		}
		return conns[client%3].Invoke(ctx, "/etcdserverpb.KV/"+method, &request, &reply)
	}
	agenttest.Eventually(t, time.Minute, "etcd answers", func() error { return call(t.Context(), 0, "Put", "0", payload) })
	cpu := cpuOf(pids(cmds...)...)
	return &peer{
		name: "etcd", stop: func() { stopAll(cmds...) },
		write: func(t *testing.T, n int, d time.Duration) measured {
			return closedLoop(t.Context(), n, d, cpu, func(ctx context.Context, client, seq int) error {
				return call(ctx, client, "Put", fmt.Sprintf("%d-%d", client, seq), payload)
			})
		},
		read: func(t *testing.T, n int, d time.Duration) measured {
			return closedLoop(t.Context(), n, d, cpu, func(ctx context.Context, client, _ int) error {
				return call(ctx, client, "Range", "0")
			})
		},
	}
}

// rqlitePeer starts a cluster of three and speaks to its leader over HTTP.
func rqlitePeer(t *testing.T) *peer {
	path, err := exec.LookPath("rqlited")
	if err != nil {
		return nil
	}
	dir := t.TempDir()
	var cmds []*exec.Cmd
	var first, addr string
	for i := range 3 {
		web, raft := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
		args := []string{"-node-id", strconv.Itoa(i), "-http-addr", web, "-raft-addr", raft}
		if i > 0 {
			args = append(args, "-join", first)
		} else {
			first, addr = raft, web
		}
		cmds = append(cmds, startPeer(t, nil, dir, path, append(args, filepath.Join(dir, strconv.Itoa(i)))...))
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	post := func(ctx context.Context, path, body string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		var reply bytes.Buffer
		if _, err := reply.ReadFrom(resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK || strings.Contains(reply.String(), `"error"`) {
			return fmt.Errorf("rqlite answers %d %s", resp.StatusCode, reply.String())
		}
		return nil
	}
	agenttest.Eventually(t, time.Minute, "rqlite answers", func() error {
		return post(t.Context(), "/db/execute", `["CREATE TABLE IF NOT EXISTS bench (id TEXT PRIMARY KEY, v TEXT)"]`)
	})
	cpu := cpuOf(pids(cmds...)...)
	return &peer{
		name: "rqlite", stop: func() { stopAll(cmds...) },
		write: func(t *testing.T, n int, d time.Duration) measured {
			run := freePort(t) // keeps the keys of runs apart
			return closedLoop(t.Context(), n, d, cpu, func(ctx context.Context, client, seq int) error {
				return post(ctx, "/db/execute", fmt.Sprintf(`[["INSERT INTO bench VALUES (?, ?)","%d-%d-%d","%s"]]`, run, client, seq, payload))
			})
		},
		read: func(t *testing.T, n int, d time.Duration) measured {
			return closedLoop(t.Context(), n, d, cpu, func(ctx context.Context, _, _ int) error {
				return post(ctx, "/db/query?level=linearizable", `["SELECT v FROM bench LIMIT 1"]`)
			})
		},
	}
}

// TestPeers says whether the peers on this machine can be measured.
func TestPeers(t *testing.T) {
	for _, start := range []func(*testing.T) *peer{etcdPeer, rqlitePeer, postgresPeer} {
		p := start(t)
		if p == nil {
			continue
		}
		w, r := p.write(t, 4, time.Second), p.read(t, 4, time.Second)
		p.stop()
		t.Logf("%s: writes %s, CPU %s each; reads %s", p.name, rate(w), w.cpuPerOp(), rate(r))
		if w.Ops == 0 || w.Failed > 0 || r.Ops == 0 || r.Failed > 0 {
			t.Errorf("%s does not work as a peer", p.name)
		}
	}
}
