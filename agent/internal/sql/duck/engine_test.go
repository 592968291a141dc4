package duck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// numbers is a Source of one table of rows made up as they are read.
type numbers struct {
	rows   int
	failAt int // row at which Fill fails
	panics bool
	block  chan struct{} // if not nil, Fill waits for it after the first batch
	fills  atomic.Int64
	open   atomic.Int64
	first  chan struct{} // closed at the first Fill
	once   sync.Once
}

var errNumbers = errors.New("range r7 unavailable: no leader")

var numbersTable = &Table{Name: "numbers", Columns: []TableColumn{
	{Name: "id", Type: datum.Int8, NotNull: true}, {Name: "k", Type: datum.Int4}, {Name: "v", Type: datum.Text}, {Name: "x", Type: datum.Float8},
}}

func newNumbers(rows int) *numbers { return &numbers{rows: rows, first: make(chan struct{})} }

func (n *numbers) Scan(_ context.Context, spec ScanSpec) (Scan, error) {
	n.open.Add(1)
	return &numbersScan{n: n, spec: spec, row: make([]datum.Datum, len(spec.Columns))}, nil
}

type numbersScan struct {
	n    *numbers
	spec ScanSpec
	at   int
	row  []datum.Datum
}

func (s *numbersScan) Fill(ctx context.Context, b *Batch) (bool, error) {
	s.n.once.Do(func() { close(s.n.first) })
	if s.n.fills.Add(1) > 1 && s.n.block != nil {
		select {
		case <-s.n.block:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	for ; s.at < s.n.rows && !b.Full(); s.at++ {
		if s.n.failAt > 0 && s.at == s.n.failAt {
			if s.n.panics {
				panic("boom")
			}
			return false, errNumbers
		}
		for i, c := range s.spec.Columns {
			switch c {
			case 0:
				s.row[i] = datum.MakeInt(datum.Int8, int64(s.at))
			case 1:
				s.row[i] = datum.MakeInt(datum.Int4, int64(s.at%1000))
			case 2:
				s.row[i] = datum.MakeText(values[s.at%len(values)])
			case 3:
				s.row[i] = datum.MakeFloat(datum.Float8, float64(s.at)/2)
			}
		}
		if err := b.Append(s.row); err != nil {
			return false, err
		}
	}
	return s.at == s.n.rows, nil
}

func (s *numbersScan) Close() { s.n.open.Add(-1) }

var values = []string{"open", "paid", "a value of more than twelve bytes", "void", "another value of more than twelve bytes"}

// run executes a statement over numbers and counts its rows.
func (n *numbers) run(ctx context.Context, e *Engine, sql string, emit func([]datum.Datum) error) (int, error) {
	s, err := selectOf(sql)
	if err != nil {
		return 0, err
	}
	p, err := e.Prepare(ctx, Query{Select: s, Resolve: func(_, name string) (*Table, bool) { return numbersTable, name == "numbers" }})
	if err != nil {
		return 0, err
	}
	rows := 0
	err = p.Execute(ctx, Execution{Source: n, Now: testNow}, func(row []datum.Datum) error {
		rows++
		if emit != nil {
			return emit(row)
		}
		return nil
	})
	return rows, err
}

// check runs a small query and the leak check.
func (n *numbers) check(t *testing.T, e *Engine) {
	t.Helper()
	if open := n.open.Load(); open != 0 {
		t.Errorf("%d scans are open", open)
	}
	rows, err := newNumbers(10).run(t.Context(), e, "SELECT * FROM numbers", nil)
	if rows != 10 || err != nil {
		t.Errorf("afterwards: %d rows, %v", rows, err)
	}
}

func code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

const million = 1_000_000

func TestLimitStopsTheScan(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(million)
	rows, err := n.run(t.Context(), e, "SELECT * FROM numbers LIMIT 10", nil)
	if rows != 10 || err != nil {
		t.Fatal(rows, err)
	}
	if f := n.fills.Load(); f > 100 {
		t.Errorf("%d batches were read for 10 rows", f)
	}
	n.check(t, e)
}

func TestAllRowsOnce(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(300_000)
	sum := int64(0)
	rows, err := n.run(t.Context(), e, "SELECT id, v FROM numbers", func(row []datum.Datum) error {
		sum += row[0].I
		if row[1].S != values[row[0].I%5] {
			return fmt.Errorf("row %d is %q", row[0].I, row[1].S)
		}
		return nil
	})
	if rows != 300_000 || sum != 300_000*299_999/2 || err != nil {
		t.Fatal(rows, sum, err)
	}
	n.check(t, e)
}

func TestEmitErrorEndsTheStatement(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(million)
	stop := errors.New("the client went away")
	seen := 0
	_, err := n.run(t.Context(), e, "SELECT * FROM numbers", func([]datum.Datum) error {
		if seen++; seen == 5000 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if f := n.fills.Load(); f > 200 {
		t.Errorf("%d batches were read for 5000 rows", f)
	}
	n.check(t, e)
}

func TestCancel(t *testing.T) {
	e := open(t, Config{})
	for _, sql := range []string{
		"SELECT count(*) FROM numbers a, numbers b WHERE a.x + b.x < 0",
		"SELECT sum(i::float8 * j) FROM generate_series(1, 10000000) i, generate_series(1, 1000000) j",
	} {
		n := newNumbers(million)
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{})
		go func() {
			defer close(begun)
			select {
			case <-n.first:
			case <-time.After(100 * time.Millisecond): // the one without a scan
			}
			cancel()
		}()
		pid := e.Status().PID
		_, err := n.run(ctx, e, sql, nil)
		<-begun
		if code(err) != "57014" || !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", sql, err)
		}
		if e.Status().PID != pid {
			t.Error("the worker was replaced")
		}
		n.check(t, e)
	}
}

func TestDeadline(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(million)
	n.block = make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := n.run(ctx, e, "SELECT count(*) FROM numbers", nil)
	if code(err) != "57014" || !strings.Contains(err.Error(), "timeout") {
		t.Fatal(err)
	}
	n.check(t, e)
}

func TestSourceErrorIsReturned(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(million)
	n.failAt = 50_000
	_, err := n.run(t.Context(), e, "SELECT count(*) FROM numbers", nil)
	if !errors.Is(err, errNumbers) {
		t.Fatal(err)
	}
	n.check(t, e)
	n = newNumbers(million)
	n.failAt, n.panics = 50_000, true
	if _, err = n.run(t.Context(), e, "SELECT count(*) FROM numbers", nil); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatal(err)
	}
	n.check(t, e)
}

// TestKilledWorker ends the worker below a statement: after rows went out that is
// an error, before it the statement is run again.
func TestKilledWorker(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(million)
	pid := e.Status().PID
	var once sync.Once
	kill := func() { once.Do(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) }
	_, err := n.run(t.Context(), e, "SELECT * FROM numbers", func([]datum.Datum) error { kill(); return nil })
	var lost *Error
	if !errors.As(err, &lost) || lost.Code != "XX000" || !lost.Retryable() {
		t.Fatal(err)
	}
	n.check(t, e)
	if s := e.Status(); s.Restarts != 1 || s.PID == pid || s.LastErr == nil {
		t.Errorf("status %+v", s)
	}

	n, once = newNumbers(million), sync.Once{}
	n.block = make(chan struct{})
	pid = e.Status().PID
	go func() {
		<-n.first
		kill()
		close(n.block)
	}()
	count := int64(0)
	_, err = n.run(t.Context(), e, "SELECT count(*) FROM numbers", func(row []datum.Datum) error { count = row[0].I; return nil })
	if err != nil || count != million {
		t.Errorf("a statement of which nothing was seen: %d rows, %v", count, err)
	}
	n.check(t, e)
}

// TestUnplannedForm has the engine's planner give up inside: the statement is refused, and the
// worker stays for others.
func TestUnplannedForm(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(10)
	const text = `SELECT v FROM numbers GROUP BY v HAVING
		(SELECT every(numbers.v = ANY (string_to_array(numbers.v, ','))) FROM numbers a JOIN numbers b ON a.id = b.id)`
	pid := e.Status().PID
	if _, err := n.run(t.Context(), e, text, nil); code(err) != "0A000" {
		t.Errorf("%v, want 0A000", err)
	}
	n.check(t, e)
	if s := e.Status(); s.PID != pid || s.Restarts != 0 {
		t.Errorf("the worker was started again: %+v", s)
	}
}

// TestLongValues asks for texts that are longer than the limit, known before and
// after they are made.
func TestLongValues(t *testing.T) {
	e := open(t, Config{})
	n := newNumbers(10)
	for _, text := range []string{
		"SELECT repeat('x', 1500000000)", "SELECT repeat(v, 1500000000) FROM numbers", "SELECT length(lpad(v, 1500000000, 'x')) FROM numbers",
		"SELECT rpad('', 1500000000, 'x')", "SELECT replace(repeat('a', 7000000), 'a', 'bbbbbbbbbbb')",
	} {
		if _, err := n.run(t.Context(), e, text, nil); code(err) != "54000" {
			t.Errorf("%s: %v, want 54000", text, err)
		}
	}
	got := ""
	if _, err := n.run(t.Context(), e, "SELECT repeat(v, 20) || lpad('a', CAST(id AS int4) + 2, 'b') FROM numbers WHERE id = 0", func(row []datum.Datum) error { got = row[0].S; return nil }); err != nil || got != strings.Repeat("open", 20)+"ba" {
		t.Errorf("short ones: %q, %v", got, err)
	}
	if r := e.Status().Restarts; r != 0 {
		t.Errorf("the worker was restarted %d times", r)
	}
}

// TestFatWorkerIsKilled has the worker take memory that DuckDB does not count.
func TestFatWorkerIsKilled(t *testing.T) {
	e := open(t, Config{MemoryBytes: 64 << 20})
	n := newNumbers(10)
	_, err := n.run(t.Context(), e, "SELECT length(replace(repeat('a', 60000000), 'a', 'bbbbbbbbbbbbbbbbbbbb'))", nil)
	var e2 *Error
	if !errors.As(err, &e2) || e2.Code != "53200" {
		t.Fatalf("1.2 GB beside a limit of 64 MiB: %v, want 53200; the worker: %v", err, e.Status().LastErr)
	}
	n.check(t, e)
	if s := e.Status(); s.Restarts == 0 || !strings.Contains(s.LastErr.Error(), "memory") {
		t.Errorf("status %+v", s)
	}
}

func TestStuckWorkerIsKilled(t *testing.T) {
	e := open(t, Config{})
	e.killAfter = 50 * time.Millisecond
	n := newNumbers(million)
	n.block = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-n.first
		stopProcess(t, e.Status().PID)
		cancel()
	}()
	if _, err := n.run(ctx, e, "SELECT count(*) FROM numbers", nil); code(err) != "57014" {
		t.Fatal(err)
	}
	n.check(t, e)
}

// stopProcess stops a process and waits until each of its threads stands: one that still
// runs could answer.
func stopProcess(t *testing.T, pid int) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	running := func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Errorf("threads of %d: %v, %v", pid, threads, err)
			return false
		}
		return slices.ContainsFunc(threads, func(path string) bool {
			stat, err := os.ReadFile(path)
			return err == nil && !strings.Contains(string(stat), ") T ")
		})
	}
	for deadline := time.Now().Add(10 * time.Second); running(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("process %d runs on after SIGSTOP", pid)
			return
		}
	}
}

// TestSpillLimit: a query that would fill the disk ends before it does.
func TestSpillLimit(t *testing.T) {
	e := open(t, Config{MemoryBytes: 128 << 20, SpillBytes: 64 << 20})
	_, err := newNumbers(million).run(t.Context(), e, "SELECT id, repeat('x', 500) || id AS y FROM numbers ORDER BY y DESC", nil)
	if code(err) != "53200" {
		t.Fatalf("%v, want 53200", err)
	}
	newNumbers(10).check(t, e)
	if r := e.Status().Restarts; r != 0 {
		t.Errorf("the worker was restarted %d times", r)
	}
}

func TestMemoryLimit(t *testing.T) {
	e := open(t, Config{MemoryBytes: 64 << 20})
	n := newNumbers(million)
	if _, err := n.run(t.Context(), e, "SELECT length(array_to_string(array_agg(v || id), '')) FROM numbers", nil); code(err) != "53200" {
		t.Fatal(err)
	}
	n.check(t, e)
	if r := e.Status().Restarts; r != 0 {
		t.Errorf("the worker was restarted %d times", r)
	}
	rows, err := newNumbers(500_000).run(t.Context(), e, "SELECT * FROM numbers ORDER BY v, x DESC", nil) // spills
	if rows != 500_000 || err != nil {
		t.Fatal(rows, err)
	}
}

func TestSlowClientHoldsUpNobody(t *testing.T) {
	e := open(t, Config{Concurrency: 1})
	release, waiting := make(chan struct{}), make(chan struct{})
	var once sync.Once
	done := make(chan error, 1)
	go func() {
		_, err := newNumbers(50_000).run(t.Context(), e, "SELECT * FROM numbers", func([]datum.Datum) error {
			once.Do(func() { close(waiting) })
			<-release
			return nil
		})
		done <- err
	}()
	<-waiting
	newNumbers(0).check(t, e)
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestSlowSourceHoldsUpNobody(t *testing.T) {
	e := open(t, Config{Concurrency: 1})
	n := newNumbers(million)
	n.block = make(chan struct{})
	done := make(chan error, 1)
	go func() {
		rows, err := n.run(t.Context(), e, "SELECT count(*) FROM numbers", func(row []datum.Datum) error {
			if row[0].I != million {
				return fmt.Errorf("%d rows", row[0].I)
			}
			return nil
		})
		if rows != 1 && err == nil {
			err = errors.New("no row")
		}
		done <- err
	}()
	<-n.first
	newNumbers(0).check(t, e)
	close(n.block)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentStatements(t *testing.T) {
	e := open(t, Config{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5 {
				n := newNumbers(20_000)
				sql := fmt.Sprintf("SELECT v, count(*), sum(k) FROM numbers WHERE k < %d GROUP BY v", 100*(g+1))
				total := int64(0)
				rows, err := n.run(t.Context(), e, sql, func(row []datum.Datum) error { total += row[1].I; return nil })
				if rows != 5 || total != int64(2000*(g+1)) || err != nil {
					t.Errorf("%d rows, %d, %v", rows, total, err)
				}
			}
		}()
	}
	wg.Wait()
}

func TestIdleWorkerCostsNothing(t *testing.T) {
	e := open(t, Config{})
	newNumbers(0).check(t, e)
	before := cpuTicks(t, e.Status().PID)
	<-time.After(500 * time.Millisecond)
	if used := cpuTicks(t, e.Status().PID) - before; used > 3 {
		t.Errorf("%d ticks of 10 ms in half a second", used)
	}
}

// cpuTicks is the user and system time of a process.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return user + system
}

// TestWorkerDiesWithItsParent kills a process that has opened an engine.
func TestWorkerDiesWithItsParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestWorkerDiesWithItsParent$")
	if dir := os.Getenv("DUCK_TEST_PARENT"); dir != "" {
		e, err := Open(t.Context(), Config{SpillDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(os.Stdout, e.Status().PID)
		select {}
	}
	cmd.Env = append(os.Environ(), "DUCK_TEST_PARENT="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("worker %d outlived its parent", pid)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestOpenFails(t *testing.T) {
	if _, err := Open(t.Context(), Config{SpillDir: t.TempDir(), Program: "/bin/false"}); err == nil {
		t.Fatal("a program that is no worker was taken")
	}
}
