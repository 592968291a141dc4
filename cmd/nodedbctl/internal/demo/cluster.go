package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

const (
	readyWait      = 90 * time.Second // for a node to serve
	replicatedWait = 3 * time.Minute  // for all ranges to have their replicas
	pollEvery      = 200 * time.Millisecond
	leadsWait      = 30 * time.Second // for a node to lead something
)

// cluster is the demo's processes and their directory.
type cluster struct {
	e      *ctl.Env
	agent  string
	dir    string
	lock   *os.File // held while the demo lives
	client *client.Client
	began  time.Time

	mu    sync.Mutex
	nodes []*node
}

func newCluster(e *ctl.Env, agent string) (*cluster, error) {
	if n := sweep(os.TempDir()); n > 0 {
		e.Term.Say("removed what %s left that had been killed", render.Plural(n, "demo"))
	}
	dir, lock, err := newDir(os.TempDir())
	if err != nil {
		return nil, err
	}
	return &cluster{e: e, agent: agent, dir: dir, lock: lock, began: e.Now()}, nil
}

func (c *cluster) contextFile() string { return filepath.Join(c.dir, "creds", "context.yaml") }

// start makes a cluster of n nodes and waits until all serve and every range
// has its replicas.
func (c *cluster) start(ctx context.Context, n int) error {
	first, err := c.newNode()
	if err != nil {
		return err
	}
	if err := c.agentCommand(ctx, append([]string{"init", "--data-dir", first.dir, "--name", first.name, "--creds-dir", filepath.Join(c.dir, "creds")}, first.listenFlags()...)...); err != nil {
		return err
	}
	if err := first.start(); err != nil {
		return err
	}
	if err := c.dial(); err != nil {
		return err
	}
	if err := c.waitReady(ctx, first); err != nil {
		return err
	}
	c.say("%s has made the cluster and serves", first.name)
	if err := c.joinAll(ctx, n-1); err != nil {
		return err
	}
	c.say("every node is ready; ranges get their replicas")
	return c.waitReplicated(ctx)
}

// say tells how far the start is.
func (c *cluster) say(format string, args ...any) {
	c.e.Term.Say("%5.1fs  %s", since(c.e, c.began).Seconds(), fmt.Sprintf(format, args...))
}

// dial makes the demo's own client.
func (c *cluster) dial() error {
	cl, err := c.connect()
	c.client = cl
	return err
}

// connect makes a client of the context that init wrote.
func (c *cluster) connect() (*client.Client, error) {
	f, err := client.ReadFile(c.contextFile())
	if err != nil {
		return nil, err
	}
	cx, err := f.Select("")
	if err != nil {
		return nil, err
	}
	return client.Dial(cx)
}

// joinAll adds n nodes, and starts them side by side.
func (c *cluster) joinAll(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	token, err := c.client.CreateJoinToken(ctx, &adminpb.CreateJoinTokenRequest{Uses: uint32(n)})
	if err != nil {
		return fmt.Errorf("create a join token: %w", err)
	}
	file := filepath.Join(c.dir, "join-token")
	if err := os.WriteFile(file, []byte(token.GetSecret()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the join token: %w", err)
	}
	peer := c.all()[0].admin
	var added []*node
	// One after the other, so that the number that each is given is its name's.
	for range n {
		nd, err := c.newNode()
		if err != nil {
			return err
		}
		args := []string{"join", "--data-dir", nd.dir, "--name", nd.name, "--peer", peer, "--token-file", file}
		if err := c.agentCommand(ctx, append(args, nd.listenFlags()...)...); err != nil {
			return err
		}
		added = append(added, nd)
		c.say("%s has joined", nd.name)
	}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i, nd := range added {
		wg.Go(func() {
			if errs[i] = nd.start(); errs[i] == nil {
				errs[i] = c.waitReady(ctx, nd)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.shareAddresses()
}

// shareAddresses writes all admin addresses into the context, so that it works
// while any node is down.
func (c *cluster) shareAddresses() error {
	f, err := client.ReadFile(c.contextFile())
	if err != nil {
		return err
	}
	for i := range f.Contexts {
		f.Contexts[i].Addrs = nil
		for _, n := range c.all() {
			f.Contexts[i].Addrs = append(f.Contexts[i].Addrs, n.admin)
			c.client.Learn(n.admin)
		}
	}
	return f.Write()
}

// agentCommand runs a verb of nodedb-agent that ends by itself.
func (c *cluster) agentCommand(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, c.agent, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("nodedb-agent %s: %w\n%s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (c *cluster) all() []*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*node(nil), c.nodes...)
}

// find asks the cluster for a node of the demo.
func (c *cluster) find(ctx context.Context, name string) (*adminpb.Node, error) {
	call, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := c.client.ListNodes(call, &adminpb.ListNodesRequest{All: true, NodeTimeout: 2})
	if err != nil {
		return nil, err
	}
	return ctl.FindNode(r.GetNodes(), name)
}

func (c *cluster) waitReady(ctx context.Context, n *node) error {
	return c.poll(ctx, readyWait, n.name+" is not ready", func() error {
		if code, ended := n.ended(); ended {
			return &hopeless{fmt.Errorf("its process ended with exit code %d:\n%s", code, n.logTail())}
		}
		got, err := c.find(ctx, n.name)
		if err == nil && got.GetStatus() != "ready" {
			err = fmt.Errorf("it is %s", got.GetStatus())
		}
		return err
	})
}

// waitReplicated waits until no range wants a replica.
func (c *cluster) waitReplicated(ctx context.Context) error {
	return c.poll(ctx, replicatedWait, "not all ranges have their replicas", func() error {
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		r, err := c.client.ListRanges(call, &adminpb.ListRangesRequest{NodeTimeout: 2})
		if err != nil {
			return err
		}
		if !r.GetAsOf().GetComplete() || len(r.GetRanges()) == 0 {
			return errors.New("not every node answers")
		}
		// With fewer nodes than replicas wanted, one votes: voters are an odd number.
		want := 3
		if len(c.all()) < want {
			want = 1
		}
		for _, x := range r.GetRanges() {
			voters := 0
			for _, rep := range x.GetReplicas() {
				if rep.GetRole() == "voter" {
					voters++
				}
			}
			if voters < want && !x.GetMeta() || x.GetLeader() == 0 || x.GetState() == "moving" {
				return fmt.Errorf("r%d has %d voters and is %s", x.GetId(), voters, x.GetState())
			}
		}
		return nil
	})
}

// hopeless ends a poll at once.
type hopeless struct{ error }

func (c *cluster) poll(ctx context.Context, limit time.Duration, what string, check func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s after %s", what, limit))
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check()
		var h *hopeless
		switch {
		case err == nil:
			return nil
		case errors.As(err, &h):
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return context.Canceled
			}
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// url is how a PostgreSQL client reaches a node.
func (c *cluster) url(n *node) string {
	cx := c.client.Context()
	user, err := cx.User()
	if err != nil || user == "" {
		user = "root"
	}
	return fmt.Sprintf("postgres://%s@%s/nodedb?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s", url.PathEscape(user), n.sql, cx.CA, cx.Cert, cx.Key)
}

// close ends all processes and removes all files.
func (c *cluster) close() error {
	if c.client != nil {
		c.client.Close()
	}
	var wg sync.WaitGroup
	for _, n := range c.all() {
		wg.Go(n.kill)
	}
	wg.Wait()
	defer func() { _ = c.lock.Close() }() // nothing was written
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the demo's directory: %w", err)
	}
	return nil
}

// freePorts returns n loopback addresses that were free a moment ago.
func freePorts(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // all at once, so that no port is given twice
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
