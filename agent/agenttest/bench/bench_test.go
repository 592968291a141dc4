//go:build bench

package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest"
)

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		t.Fatalf("%s=%q is not a positive number", name, text)
	}
	return n
}

// TestBench prints the table. It fails only if something could not be measured:
// a target that is missed is for people to judge.
func TestBench(t *testing.T) {
	seconds := time.Duration(setting(t, "BENCH_SECONDS", 5)) * time.Second
	tb := &table{Machine: fmt.Sprintf("%d CPUs, %s", runtime.NumCPU(), runtime.Version())}
	defer func() {
		if err := tb.print(os.Stdout); err != nil {
			t.Error(err)
		}
		if err := tb.save(os.Getenv("BENCH_JSON")); err != nil {
			t.Error(err)
		}
	}()

	c := agenttest.Start(t, agenttest.Options{Ranges: 64})
	ours := system(c)
	ours.setUp(t)
	b := &bench{t: t, c: c, tb: tb, ours: ours, seconds: seconds}
	b.step("load", b.load)
	b.step("calm", b.calm)
	b.step("drain", b.drain)
	b.step("sigterm", b.sigterm)
	b.step("kill", b.kill)
	b.step("decommission", b.decommission)
	b.step("scan", b.scan)
	b.step("idle", b.idle)
	b.step("cold start", b.coldStart)
}

// bench is one run.
type bench struct {
	t       *testing.T
	c       *agenttest.Cluster
	tb      *table
	ours    *sqlSystem
	seconds time.Duration
}

// step runs one part; BENCH_ONLY picks some by name.
func (b *bench) step(name string, run func(t *testing.T)) {
	if only := os.Getenv("BENCH_ONLY"); only != "" && !strings.Contains(","+only+",", ","+name+",") {
		return
	}
	b.t.Run(name, run)
}

func system(c *agenttest.Cluster) *sqlSystem {
	s := &sqlSystem{name: "nodedb"}
	for _, n := range c.Nodes() {
		s.urls = append(s.urls, n.URL())
	}
	s.cpu = func() time.Duration { return cpuOf(agentPIDs(c)...)() }
	return s
}

func agentPIDs(c *agenttest.Cluster) []int {
	var ids []int
	for _, n := range c.Nodes() {
		ids = append(ids, n.PID())
	}
	return ids
}

// load measures writes and reads beside the peers, one system at a time.
func (b *bench) load(t *testing.T) {
	counts := []int{1, 16, 64}
	writes, reads := map[int]*line{}, map[int]*line{}
	var last measured
	for _, n := range counts {
		wait := b.profile(t, "insert", n)
		m := b.ours.inserts(t, n, b.seconds)
		wait()
		t.Logf("nodedb INSERT, %d clients: %s", n, rate(m))
		writes[n] = &line{What: fmt.Sprintf("prepared INSERT, %d clients", n), Figure: rate(m), Value: m.perSecond(), Unit: "1/s", Peers: map[string]float64{}}
		last = m
	}
	for _, n := range counts {
		wait := b.profile(t, "select", n)
		m := b.ours.selects(t, n, b.seconds)
		wait()
		t.Logf("nodedb SELECT, %d clients: %s", n, rate(m))
		reads[n] = &line{What: fmt.Sprintf("point SELECT, %d clients", n), Figure: rate(m), Value: m.perSecond(), Unit: "1/s", Peers: map[string]float64{}}
	}
	peerCPU := map[string]float64{}
	for _, start := range []func(*testing.T) *peer{etcdPeer, rqlitePeer, postgresPeer} {
		p := start(t)
		if p == nil {
			continue
		}
		for _, n := range counts {
			m := p.write(t, n, b.seconds)
			t.Logf("%s write, %d clients: %s", p.name, n, rate(m))
			writes[n].Peers[p.name] = m.perSecond()
			peerCPU[p.name] = float64(m.cpuPerOp()) / 1e6
			m = p.read(t, n, b.seconds)
			t.Logf("%s read, %d clients: %s", p.name, n, rate(m))
			reads[n].Peers[p.name] = m.perSecond()
		}
		p.stop()
	}
	against := func(l *line, factor float64) {
		l.Target = fmt.Sprintf(">= %.0fx etcd", factor)
		if etcd := l.Peers["etcd"]; etcd > 0 {
			l.Verdict = judge(l.Value >= factor*etcd)
		}
	}
	against(writes[16], 2)
	against(writes[64], 3)
	against(reads[64], 3)
	for _, n := range counts {
		b.tb.add(*writes[n])
	}
	for _, n := range counts {
		b.tb.add(*reads[n])
	}
	b.tb.add(line{What: "CPU per INSERT, 64 clients, all processes", Figure: ms(last.cpuPerOp()), Value: float64(last.cpuPerOp()) / 1e6, Unit: "ms",
		Peers: peerCPU, Target: "<= 0.30 ms", Verdict: judge(last.cpuPerOp() <= 300*time.Microsecond)})
}

// profile writes CPU profiles of all nodes into $BENCH_PROFILE while 64 clients
// are at work.
func (b *bench) profile(t *testing.T, what string, clients int) (wait func()) {
	dir := os.Getenv("BENCH_PROFILE")
	if dir == "" || clients != 64 {
		return func() {}
	}
	creds := b.c.CredsDir()
	pair, err := tls.LoadX509KeyPair(filepath.Join(creds, "root.crt"), filepath.Join(creds, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(creds, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	var wg sync.WaitGroup
	for _, n := range b.c.Nodes() {
		wg.Go(func() {
			resp, err := web.Get(fmt.Sprintf("https://%s/debug/pprof/profile?seconds=%d", n.Admin, int(b.seconds.Seconds())))
			if err != nil {
				t.Errorf("profile %s: %v", n.Name, err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			f, err := os.Create(filepath.Join(dir, what+"-"+n.Name+".pprof"))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = f.Close() }()
			if _, err := io.Copy(f, resp.Body); err != nil {
				t.Errorf("profile %s: %v", n.Name, err)
			}
		})
	}
	return wg.Wait
}

// disturb runs paced writers while event happens.
func (b *bench) disturb(t *testing.T, urls []string, settle time.Duration, event func()) gaps {
	t.Helper()
	g := paced(t.Context(), b.ours.writers(t, 24, urls), 10*time.Millisecond, settle, event)
	t.Log(g.describe())
	return g
}

// calm is what the other gaps are to be compared with: on a busy machine writers
// wait even when nothing happens.
func (b *bench) calm(t *testing.T) {
	g := b.disturb(t, b.ours.urls, 4*time.Second, func() {})
	b.tb.add(line{What: "nothing happens: write gap", Figure: g.describe(), Value: float64(g.Longest) / 1e6, Unit: "ms"})
}

func (b *bench) drain(t *testing.T) {
	var took time.Duration
	g := b.disturb(t, b.ours.urls, 4*time.Second, func() {
		r := b.c.TryCtl("drain", "n2", "--lb-wait", "0s", "--deadline", "60s")
		took = r.Took
		if r.Code != 0 {
			t.Errorf("drain: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
	})
	b.tb.add(line{What: "drain under load: write gap", Figure: g.describe(), Value: float64(g.Longest) / 1e6, Unit: "ms",
		Target: "< 200 ms, none failed", Verdict: judge(g.Longest < 200*time.Millisecond && g.Failed == 0)})
	b.tb.add(line{What: "drain of 64 ranges, sessions included", Figure: ms(took), Value: float64(took) / 1e6, Unit: "ms",
		Target: "< 2000 ms", Verdict: judge(took < 2*time.Second)})
	b.c.Ctl("undrain", "n2")
	b.c.Node(2).WaitReady()
}

func (b *bench) sigterm(t *testing.T) {
	g := b.disturb(t, b.ours.urls, 4*time.Second, func() {
		if code := b.c.Node(2).Terminate(); code != 0 {
			t.Errorf("SIGTERM: exit %d\n%s", code, b.c.Node(2).LogTail(20))
		}
	})
	b.tb.add(line{What: "SIGTERM under load: write gap", Figure: g.describe(), Value: float64(g.Longest) / 1e6, Unit: "ms",
		Target: "<= 50 ms, none failed", Verdict: judge(g.Longest <= 50*time.Millisecond && g.Failed == 0)})
	b.c.Node(2).Start()
	b.c.WaitReplicated()
}

// kill ends a node that leads about a third of the ranges. The writers' own
// nodes live on, so that the gap is the ranges'.
func (b *bench) kill(t *testing.T) {
	b.balance(t)
	g := b.disturb(t, b.ours.urls[:2], 8*time.Second, b.c.Node(3).Kill)
	b.tb.add(line{What: "kill -9 of a node: write gap", Figure: g.describe(), Value: float64(g.Longest) / 1e6, Unit: "ms",
		Target: "<= 2000 ms", Verdict: judge(g.Longest <= 2*time.Second)})
	b.c.Node(3).Start()
	b.c.WaitReplicated()
}

// balance waits until node 3 leads ranges again, moving some to it if nobody does.
func (b *bench) balance(t *testing.T) {
	t.Helper()
	ranges, err := b.c.List("ranges")
	if err != nil {
		t.Fatal(err)
	}
	led := 0
	for _, r := range ranges {
		if leads(r["leader"], 3) {
			led++
		}
	}
	for i, r := range ranges {
		if led >= len(ranges)/4 {
			return
		}
		if i%3 == 0 && !leads(r["leader"], 3) {
			if got := b.c.TryCtl("ranges", "transfer", fmt.Sprint(r["id"]), "--to", "n3", "--yes"); got.Code != 0 {
				t.Logf("transfer of range %v: exit %d %s", r["id"], got.Code, got.Stderr)
				continue
			}
			led++
		}
	}
	t.Logf("n3 leads %d of %d ranges", led, len(ranges))
}

func leads(leader any, node int) bool {
	text := fmt.Sprint(leader)
	return text == strconv.Itoa(node) || text == fmt.Sprintf("n%d", node)
}

func (b *bench) scan(t *testing.T) {
	rows := setting(t, "BENCH_ROWS", 1_000_000)
	b.ours.exec(t, "CREATE TABLE big (id int8 PRIMARY KEY, v text)")
	begin := time.Now()
	b.ours.load(t, "big", 0, rows)
	loaded := time.Since(begin)
	t.Logf("loaded %d rows in %s", rows, loaded)
	b.tb.add(line{What: "bulk load, INSERTs of 500 rows, 8 clients", Figure: number(float64(rows)/loaded.Seconds()) + " rows/s",
		Value: float64(rows) / loaded.Seconds(), Unit: "rows/s"})
	conn := b.ours.connect(t, 0)
	defer func() { _ = conn.Close(context.Background()) }()
	for _, q := range []struct{ what, sql string }{
		{"count(*)", "SELECT count(*) FROM big"},
		{"sum(id)", "SELECT sum(id) FROM big"},
	} {
		best := time.Duration(0)
		for range 3 {
			begin := time.Now()
			var n float64
			if err := conn.QueryRow(t.Context(), q.sql, pgx.QueryExecModeExec, pgx.QueryResultFormats{pgx.TextFormatCode}).Scan(&n); err != nil {
				t.Fatalf("%s: %v", q.sql, err)
			}
			if q.what == "count(*)" && int(n) != rows {
				t.Errorf("count(*) = %v, want %d", n, rows)
			}
			if took := time.Since(begin); best == 0 || took < best {
				best = took
			}
		}
		perSecond := float64(rows) / best.Seconds()
		b.tb.add(line{What: fmt.Sprintf("full scan of %s rows, %s", number(float64(rows)), q.what), Figure: fmt.Sprintf("%s rows/s (%s)", number(perSecond), ms(best)),
			Value: perSecond, Unit: "rows/s", Target: "> 1,000,000 rows/s", Verdict: judge(perSecond > 1e6)})
	}
}

// idle looks at the nodes when nobody asks them anything.
func (b *bench) idle(t *testing.T) {
	waitUntil(t.Context(), time.Now().Add(10*time.Second)) // compactions and the like end
	var cpu time.Duration
	var agent, worker int64
	const watched = 20 * time.Second
	before := make([]time.Duration, 0, 3)
	for _, id := range agentPIDs(b.c) {
		own, descendants := treeUsage(id)
		before = append(before, own.CPU+descendants.CPU)
	}
	waitUntil(t.Context(), time.Now().Add(watched))
	for i, id := range agentPIDs(b.c) {
		own, descendants := treeUsage(id)
		cpu = max(cpu, own.CPU+descendants.CPU-before[i])
		agent, worker = max(agent, own.RSS), max(worker, descendants.RSS)
	}
	percent := 100 * float64(cpu) / float64(watched)
	b.tb.add(line{What: "idle node of 64 ranges: CPU", Figure: fmt.Sprintf("%.2f %% of a core", percent), Value: percent, Unit: "%",
		Target: "< 1 %", Verdict: judge(percent < 1)})
	b.tb.add(line{What: "idle node: memory of the agent (and of its worker)", Figure: fmt.Sprintf("%d MiB (%d MiB)", agent>>20, worker>>20), Value: float64(agent >> 20), Unit: "MiB",
		Target: "< 200 MiB", Verdict: judge(agent < 200<<20)})
}

// coldStart stops all nodes and measures from the start of the processes until a
// write is acknowledged.
func (b *bench) coldStart(t *testing.T) {
	for _, n := range b.c.Nodes() {
		n.Kill()
	}
	begin := time.Now()
	for _, n := range b.c.Nodes() {
		n.StartUnready()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &sqlWriter{urls: b.ours.urls, id: 1}
	for w.write(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("no write was acknowledged within a minute of a cold start")
		}
		waitUntil(ctx, time.Now().Add(5*time.Millisecond))
	}
	took := time.Since(begin)
	_ = w.conn.Close(ctx)
	for _, n := range b.c.Nodes() {
		n.WaitReady()
	}
	b.tb.add(line{What: "cold start of 3 nodes to the first write (all ready)", Figure: fmt.Sprintf("%s (%s)", ms(took), ms(time.Since(begin))), Value: float64(took) / 1e6, Unit: "ms",
		Target: "< 5000 ms", Verdict: judge(took < 5*time.Second)})
}
