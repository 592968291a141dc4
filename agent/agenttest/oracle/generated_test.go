package oracle

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest"
	"github.com/nodedb/nodedb/agent/agenttest/oracle/grammar"
	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

var (
	statements = flag.Int("statements", inTest, "how many generated statements are run")
	findings   = flag.Int("findings", 200, "how many kinds of differences are made small and printed")
)

// inTest is how many statements `make test` runs: with the seed that it has they are the
// same each time.
const inTest = 3000

// knownFile has the kinds of differences that are known, one to a line: who mends one has
// the test write the lines anew by -mark.
const knownFile = "testdata/generated.txt"

// TestGenerated: statements that are made up are answered as by PostgreSQL, or refused.
func TestGenerated(t *testing.T) {
	g, err := grammar.ReadGrammar()
	if err != nil {
		t.Fatal(err)
	}
	first := seed.Of(t)
	peer := postgres(t)
	c := agenttest.Start(t, agenttest.Options{Nodes: 1, Replicas: 1, Ranges: 4})
	d := newDuel(t, peer, c.Node(1).URL())
	made := grammar.New(g, first)
	more := func(n int) bool { return n < *statements }
	n := 0
	for _, name := range made.Productions() {
		refused := 0
		for range productionTries {
			if !more(n) {
				break
			}
			n++
			if d.run(made.Only(name)) == refusedKind {
				refused++
			}
		}
		if refused == productionTries {
			made.Seldom(name)
			d.refusedWhole = append(d.refusedWhole, name)
		}
	}
	for more(n) {
		n++
		d.run(made.Next())
	}
	d.report(n)
}

// productionTries is how many statements each form of an expression has for itself.
const productionTries = 2

// duel has PostgreSQL and NodeDB answer the same.
type duel struct {
	t    *testing.T
	urls []string
	// conns are PostgreSQL's and those of NodeDB's runs.
	conns        []*pgconn.PgConn
	counts       map[string]int
	found        map[string]*finding
	refusedWhole []string
	reasons      map[string]int
	// refusals has the shortest statement that each was told of.
	refusals map[string]string
}

// finding is a kind of difference.
type finding struct {
	kind, statement, run string
	want, got            *Outcome
	times                int
}

// key names the kind of a difference.
func (f *finding) key() string { return f.kind + " | " + shape(f.statement) }

// known reads the kinds that are known.
func (d *duel) known() map[string]bool {
	text, err := os.ReadFile(knownFile)
	if err != nil {
		d.t.Fatal(err)
	}
	out := map[string]bool{}
	for line := range strings.SplitSeq(string(text), "\n") {
		out[line] = true
	}
	return out
}

// mark writes the kinds that were found.
func (d *duel) mark(list []*finding) {
	lines := []string{"# What is answered otherwise than by PostgreSQL, of the statements that TestGenerated makes up."}
	for _, f := range list {
		lines = append(lines, f.key())
	}
	slices.Sort(lines[1:])
	if err := os.WriteFile(knownFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // a source file
		d.t.Fatal(err)
	}
}

// ways are how NodeDB is asked.
var ways = runs

func newDuel(t *testing.T, peer, own string) *duel {
	d := &duel{t: t, urls: []string{peer}, conns: make([]*pgconn.PgConn, 1+len(ways)), counts: map[string]int{}, found: map[string]*finding{}, reasons: map[string]int{}, refusals: map[string]string{}}
	for range ways {
		d.urls = append(d.urls, own)
	}
	for i := range d.conns {
		d.connect(i)
		if i < 2 {
			if _, err := d.conns[i].Exec(t.Context(), grammar.Schema).ReadAll(); err != nil {
				t.Fatalf("the schema, by %d: %v", i, err)
			}
		}
	}
	t.Cleanup(func() {
		for _, c := range d.conns {
			_ = c.Close(context.Background())
		}
	})
	return d
}

func (d *duel) connect(i int) {
	d.t.Helper()
	d.conns[i] = connect(d.t, d.urls[i])
	setup := "set timezone = 'UTC'; set statement_timeout = '5s'"
	if i > 0 && ways[i-1].settings != "" {
		setup += ";" + ways[i-1].settings
	}
	if _, err := d.conns[i].Exec(d.t.Context(), setup).ReadAll(); err != nil {
		d.t.Fatal(err)
	}
}

// ask has one of the sides answer, and see what a change did.
func (d *duel) ask(i int, statement, after string) (*Outcome, error) {
	by := Simple
	if i > 0 {
		by = ways[i-1].by
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	if after == "" {
		return askOne(ctx, d.conns[i], statement, by)
	}
	if _, err := d.conns[i].Exec(ctx, "begin").ReadAll(); err != nil {
		return nil, err
	}
	out, err := askOne(ctx, d.conns[i], statement, by)
	if err == nil && out.Code == "" {
		var then *Outcome
		if then, err = askOne(ctx, d.conns[i], after, by); err == nil && then.Code != "" {
			out = then // what a change did cannot be seen
		} else if err == nil {
			for _, cells := range then.cells {
				out.cells = append(out.cells, nil)
				out.Rows = append(out.Rows, "after: "+strings.Join(cells, "|"))
			}
			out.cells = nil
		}
	}
	if _, end := d.conns[i].Exec(ctx, "rollback").ReadAll(); end != nil {
		return out, end
	}
	return out, err
}

// differs runs a statement and says how NodeDB's answer differs, by which way.
func (d *duel) differs(s grammar.Statement, statement string) (kind string, f *finding) {
	want, err := d.ask(0, statement, s.After)
	if err != nil {
		d.t.Fatalf("PostgreSQL: %s: %v", statement, err)
	}
	if want.Code == "0A000" || want.Code == "57014" || strings.HasPrefix(want.Code, "53") || strings.HasPrefix(want.Code, "54") {
		return sameKind, nil
	}
	refused := false
	for i := range ways {
		got, err := d.ask(i+1, statement, s.After)
		if err != nil {
			_ = d.conns[i+1].Close(context.Background())
			d.connect(i + 1)
			return lostKind, &finding{kind: lostKind, run: ways[i].name, want: want, got: &Outcome{Message: err.Error()}}
		}
		switch kind := want.difference(got, s.Ordered && ordered(statement), s.Rough && s.After == "", s.Lazy); kind {
		case sameKind:
		case refusedKind:
			refused = true
			d.noteRefusal(shape(got.Message), statement)
		case codeKind:
			if d.ofRows(want, got, statement) {
				continue
			}
			return kind, &finding{kind: kind, run: ways[i].name, want: want, got: got}
		default:
			return kind, &finding{kind: kind, run: ways[i].name, want: want, got: got}
		}
	}
	if refused {
		return refusedKind, nil
	}
	return sameKind, nil
}

func (d *duel) noteRefusal(reason, statement string) {
	d.reasons[reason]++
	if known, ok := d.refusals[reason]; !ok || len(statement) < len(known) {
		d.refusals[reason] = statement
	}
}

// run runs a statement, and notes what differs, made small.
func (d *duel) run(s grammar.Statement) string {
	kind, f := d.differs(s, s.Node.String())
	d.counts[kind]++
	if f == nil {
		return kind
	}
	small := s.Node
	if len(d.found) < *findings {
		grammar.Reduce(small, 300, func(statement string) bool {
			now, _ := d.differs(s, statement)
			return now == kind
		})
	}
	if fair := d.leftOpen(s, small, kind); fair != "" {
		d.counts[kind]--
		d.counts[fair]++
		return sameKind
	}
	statement := small.String()
	_, again := d.differs(s, statement)
	if again == nil { // it comes and goes
		again = f
	}
	again.statement, again.times = statement, 1
	key := again.key()
	if known := d.found[key]; known != nil {
		known.times++
	} else {
		d.found[key] = again
	}
	return kind
}

func (d *duel) report(n int) {
	list := make([]*finding, 0, len(d.found))
	for _, f := range d.found {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *finding) int {
		if c := strings.Compare(a.kind, b.kind); c != 0 {
			return c
		}
		return b.times - a.times
	})
	var b strings.Builder
	known := d.known()
	unknown := 0
	for _, f := range list {
		if known[f.key()] && !*mark {
			continue
		}
		unknown++
		fmt.Fprintf(&b, "%s (%s, %d times)\n  %s\n   got: %s\n  want: %s\n", f.kind, f.run, f.times, f.statement, f.got, f.want)
	}
	switch {
	case *mark:
		d.mark(list)
	case unknown > 0:
		d.t.Errorf("%d kinds of differences that %s has not:\n%s", unknown, knownFile, b.String())
	}
	d.t.Logf("%d statements: %v", n, d.counts)
	d.t.Logf("refused whole: %d: %s", len(d.refusedWhole), strings.Join(d.refusedWhole, "; "))
	var reasons []string
	for r, times := range d.reasons {
		reasons = append(reasons, fmt.Sprintf("%6d %s\n         %s", times, r, d.refusals[r]))
	}
	slices.Sort(reasons)
	slices.Reverse(reasons)
	d.t.Logf("refused:\n%s", strings.Join(reasons[:min(len(reasons), 80)], "\n"))
}

// postgres is the URL of an empty database of PostgreSQL 15: ORACLE_PG's, or one that
// postgres.sh starts.
func postgres(t *testing.T) string {
	t.Helper()
	url := os.Getenv("ORACLE_PG")
	if url == "" {
		if _, err := os.Stat("/usr/lib/postgresql/15/bin/postgres"); err != nil {
			if os.Getenv("ORACLE_PG_MUST") != "" {
				t.Fatalf("no PostgreSQL 15 to compare with: %v", err)
			}
			t.Skip("no PostgreSQL 15 to compare with: postgres.sh installs Debian's and starts it")
		}
		out, err := exec.CommandContext(t.Context(), "sh", "postgres.sh", freePort(t)).Output()
		if err != nil {
			t.Fatalf("postgres.sh: %v", err)
		}
		fields := map[string]string{}
		for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
			name, value, _ := strings.Cut(line, "=")
			fields[name] = value
		}
		url = fields["ORACLE_PG"]
		t.Cleanup(func() { _ = exec.Command("kill", fields["ORACLE_PG_PID"]).Run() })
	}
	admin := connect(t, url)
	defer func() { _ = admin.Close(context.Background()) }()
	name := fmt.Sprintf("generated_%d", os.Getpid())
	if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'").ReadAll(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin, err := pgconn.Connect(context.Background(), url)
		if err != nil {
			return
		}
		_, _ = admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)").ReadAll()
		_ = admin.Close(context.Background())
	})
	return strings.TrimSuffix(url, "postgres") + name
}

// freePort is a port on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
