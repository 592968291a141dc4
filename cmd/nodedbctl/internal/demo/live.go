package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/status"
)

const (
	refresh      = 2 * time.Second
	replicas     = 3                // of each range
	restartAfter = 15 * time.Second // for a node that was killed, so that one can watch the cluster without it
)

// live runs a demo until Ctrl-C.
func live(ctx context.Context, e *ctl.Env, o *options, agent string) (err error) {
	e.Term.Say("starting %s ...", render.Plural(o.nodes, "node"))
	c, w, err := up(ctx, e, o, agent)
	defer func() {
		if w != nil {
			w.stop()
		}
		if c == nil {
			return
		}
		if cerr := c.close(); cerr != nil && err == nil {
			err = cerr
		}
		e.Term.Say("every process has ended, everything is removed")
	}()
	if err != nil {
		if ctx.Err() != nil {
			return ctl.Silent(ctl.Interrupted)
		}
		return err
	}
	if _, err := io.WriteString(e.Term.Out, howTo(c)); err != nil {
		return err
	}
	s := &screen{e: e, c: c, w: w, down: map[*node]time.Time{}, at: e.Now()}
	if !o.noTUI && e.Term.OutTTY && e.Term.InTTY {
		return s.dashboard(ctx)
	}
	s.show(ctx)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	progress := e.Term.NewProgress(e.Now)
	for {
		select {
		case <-ctx.Done():
			progress.Clear()
			e.Term.Say("ending")
			return nil // Ctrl-C is how a demo ends
		case <-tick.C:
			if err := s.revive(); err != nil {
				e.Term.Say("%v", err)
			}
			block, line := s.show(ctx)
			progress.Show(block, line, false)
		}
	}
}

// howTo says how to connect and what to try.
func howTo(c *cluster) string {
	nodes := c.all()
	first, last := nodes[0], nodes[len(nodes)-1]
	var b strings.Builder
	fmt.Fprintf(&b, "\nA secure cluster of %s runs in %s\n\n", render.Plural(len(nodes), "node"), c.dir)
	for _, n := range nodes {
		fmt.Fprintf(&b, "  %-4s sql %-16s admin %-16s pid %d\n", n.name, n.sql, n.admin, n.pid())
	}
	fmt.Fprintf(&b, "\nIn another terminal:\n\n")
	fmt.Fprintf(&b, "  psql %q\n", c.url(first))
	fmt.Fprintf(&b, "  nodedbctl --context-file %s status\n\n", c.contextFile())
	fmt.Fprintf(&b, "  export NODEDBCTL_CONFIG=%s\n", c.contextFile())
	fmt.Fprintf(&b, "  nodedbctl sql -e 'SELECT city, count(*), sum(balance) FROM accounts GROUP BY city'\n")
	if len(nodes) > 1 {
		fmt.Fprintf(&b, "  nodedbctl drain n2              then: nodedbctl undrain n2\n")
	}
	if len(nodes) > replicas {
		fmt.Fprintf(&b, "  nodedbctl decommission %s --dry-run\n", last.name)
	}
	if len(nodes) >= replicas {
		fmt.Fprintf(&b, "  kill -9 %-8d               %s dies; the demo starts it again after %s\n", last.pid(), last.name, restartAfter)
	}
	b.WriteString("\n")
	fmt.Fprintf(&b, "Ctrl-C ends it and removes everything.\n\n")
	return b.String()
}

// screen is the live status.
type screen struct {
	e      *ctl.Env
	c      *cluster
	w      *workload
	down   map[*node]time.Time // since when a node's process is gone
	before tally
	at     time.Time
}

// revive starts nodes again that were killed a while ago. A node that ended by
// itself stays down: it was drained or decommissioned.
func (s *screen) revive() error {
	var errs []error
	for _, n := range s.c.all() {
		code, ended := n.ended()
		if !ended || code == 0 || code == exitDecommissioned {
			delete(s.down, n)
			continue
		}
		since, seen := s.down[n]
		switch {
		case !seen:
			s.down[n] = s.e.Now()
		case s.e.Now().Sub(since) > restartAfter:
			delete(s.down, n)
			errs = append(errs, n.start())
		}
	}
	return errors.Join(errs...)
}

// exitDecommissioned is how nodedb-agent ends when its node was decommissioned.
const exitDecommissioned = 78

func (s *screen) show(ctx context.Context) (block []string, line string) {
	call, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	load := s.load()
	r, err := s.c.client.GetStatus(call, &adminpb.GetStatusRequest{NodeTimeout: 1})
	if err != nil {
		return []string{"no answer: " + err.Error(), load}, "no answer: " + err.Error()
	}
	text := status.Text(s.e, ctl.NewMeta(r.GetAsOf()), r)
	block = append(strings.Split(strings.TrimRight(text, "\n"), "\n"), load)
	line = fmt.Sprintf("%s  %d/%d nodes  %s", r.GetHealth(), r.GetNodesAlive(), r.GetNodesTotal(), load)
	for n, since := range s.down {
		block = append(block, fmt.Sprintf("%-10s %s is gone; it starts again in %s", "processes", n.name, render.Duration(restartAfter-s.e.Now().Sub(since))))
	}
	return block, line
}

// load is what the clients did since the last look.
func (s *screen) load() string {
	now, t := s.e.Now(), s.w.total()
	gap := now.Sub(s.at).Seconds()
	text := fmt.Sprintf("%-10s %.0f writes/s  %.0f reads/s  acknowledged %d  failed %d", "load",
		float64(t.writes-s.before.writes)/max(gap, 0.001), float64(t.reads-s.before.reads)/max(gap, 0.001), t.writes, t.failed)
	s.before, s.at = t, now
	return text
}
