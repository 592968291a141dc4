package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// each adds n logins that are told apart, from the one numbered from.
func (l *Log) each(from, n int) {
	for i := from; i < from+n; i++ {
		e := login
		e.Source = fmt.Sprintf("10.0.%d.%d", i/250, i%250)
		l.Add(e)
	}
}

var login = Entry{User: "alice", Via: "sql", Source: "10.0.0.9", Action: "Login", Decision: "done"}

func path(dir string, first uint64) string { return filepath.Join(dir, fileName(Logins, first)) }

func change(t *testing.T, file string, with func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, with(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestChainGoesOn(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		l := open(t, dir)
		l.each(0, 5)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A crash cuts the last line off.
	change(t, path(dir, 1), func(b []byte) []byte { return append(b, `{"sequence":16,"ti`...) })
	l := open(t, dir)
	l.Add(login)
	l.flush(true)
	if kept, err := Verify(dir, l.Anchors()); err != nil || kept[Logins] != (Kept{1, 16}) || l.Anchors()[Logins].Last != 16 {
		t.Errorf("got %v, anchors %+v, %v; want 16", kept, l.Anchors(), err)
	}
	rs, err := Read(dir, time.Time{}, 3)
	if err != nil || len(rs) != 3 || rs[2].Sequence != 16 || rs[2].User != "alice" {
		t.Errorf("read: got %+v %v", rs, err)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	before := l.Anchors()
	long := login
	long.Why = strings.Repeat("x", textMost)
	for i := range 75000 {
		long.Source = fmt.Sprint(i % floodsMost)
		l.Add(long)
		if i%floodsMost == floodsMost-1 {
			if l.flush(true); i == floodsMost-1 {
				before = l.Anchors()
			}
		}
	}
	l.flush(true)
	names, err := files(dir, Logins)
	if err != nil || len(names) != filesKept[Logins] {
		t.Fatalf("got %d files %v, want %d", len(names), err, filesKept[Logins])
	}
	select {
	case <-l.Rotated():
	default:
		t.Error("nobody is told that the oldest record is another")
	}
	kept, err := Verify(dir, l.Anchors())
	if first, ferr := firstOf(names[0]); err != nil || ferr != nil || kept[Logins].First != first || first == 1 || l.Anchors()[Logins].First != first {
		t.Errorf("kept %v, anchors %v, oldest file %s: %v", kept, l.Anchors(), names[0], err)
	}
	if _, err := Verify(dir, before); err != nil {
		t.Errorf("an anchor in a file that is gone: %v", err)
	}
	// A crash right after a rotation leaves an empty file.
	anchors := l.Anchors()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(dir, anchors[Logins].Last+1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if again.Anchors()[Logins] != anchors[Logins] {
		t.Errorf("took up at %+v, want %+v", again.Anchors(), anchors)
	}
	// The oldest file is no longer dropped by the quota, but by hand.
	if err := os.Remove(filepath.Join(dir, names[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path(dir, anchors[Logins].Last+1)); err != nil {
		t.Fatal(err)
	}
	var broken *BrokenError
	if _, err := Verify(dir, anchors); !errors.As(err, &broken) || broken.Sequence != anchors[Logins].First {
		t.Errorf("without its oldest file: got %v", err)
	}
}

// TestClassesAreApart floods the log as a stranger and as a user: what they push
// out is their own.
func TestClassesAreApart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.Add(login)
	l.Add(Entry{User: "vera", Via: "sql", Source: "10.0.0.1", Action: "ALTER NODE", Decision: "refused", Why: "needs operator"})
	for i := range 40000 {
		l.Add(Entry{Via: "sql", Source: fmt.Sprintf("%d.%d.1.1", i/200+1, i%200), Action: "Login", Decision: "refused", Why: strings.Repeat("y", textMost)})
		l.Add(Entry{User: fmt.Sprint("u", i%900), Via: "sql", Source: "10.0.0.1", Action: "Login", Decision: "refused", Why: "wrong password"}) // a name proves nothing
		if i%900 == 899 {
			l.flush(true)
		}
	}
	l.flush(true)
	kept, err := Verify(dir, l.Anchors())
	if err != nil || kept[Logins] != (Kept{1, 1}) || kept[Strangers].First == 1 || kept[Denied] != (Kept{1, 1}) {
		t.Errorf("got %v %v", kept, err)
	}
}

func TestFloodIsCounted(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for range 1000 {
		l.Add(Entry{User: "alice", Via: "sql", Action: "Login", Decision: "refused", Why: "wrong password"})
	}
	for i := range 200 { // one network
		l.Add(Entry{Via: "sql", Source: fmt.Sprint("192.0.2.", i), Action: "Login", Decision: "refused", Why: "unknown user"})
		l.Add(Entry{Via: "sql", Source: fmt.Sprintf("2001:db8::%x", i), Action: "Login", Decision: "refused", Why: "unknown user"})
	}
	for i := range 5 * floodsMost {
		l.Add(Entry{Via: "sql", Source: fmt.Sprintf("%d.%d.0.1", i/250+1, i%250), Action: "Login", Decision: "refused", Why: "unknown user"})
	}
	l.flush(false)
	if rs, err := Read(dir, time.Time{}, 10000); err != nil || len(rs) > floodsMost+3 {
		t.Errorf("within the minute: %d records, %v", len(rs), err)
	}
	l.flush(true)
	rs, err := Read(dir, time.Time{}, 10000)
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]int{}
	for _, r := range rs {
		counted[r.User+r.Source+r.Action] += max(1, r.Count)
	}
	if counted["aliceLogin"] != 1000 || counted["192.0.2.0/24Login"] != 200 || counted["2001:db8::/64Login"] != 200 || counted["Many"] < 4*floodsMost || len(rs) > floodsMost+6 {
		t.Errorf("%d records, %d of alice, %d of one network, %d others", len(rs), counted["aliceLogin"], counted["192.0.2.0/24Login"], counted["Many"])
	}
}

func TestVerifyNamesATamperedLine(t *testing.T) {
	lines := func(b []byte) [][]byte { return bytes.SplitAfter(b, []byte("\n")) }
	for name, c := range map[string]struct {
		tamper func(b []byte) []byte
		broken uint64
	}{
		"a name": {func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"source":"10.0.0.3"`), []byte(`"source":"10.9.9.9"`), 1)
		}, 4},
		"a line":     {func(b []byte) []byte { l := lines(b); return bytes.Join(append(l[:2:2], l[3:]...), nil) }, 3},
		"the end":    {func(b []byte) []byte { return bytes.Join(lines(b)[:7], nil) }, 8},
		"the oldest": {func(b []byte) []byte { return bytes.Join(lines(b)[1:], nil) }, 1},
		"the oldest and their numbers": {func(b []byte) []byte {
			return bytes.Join(lines(b)[4:], nil)
		}, 1},
		"all":        {func([]byte) []byte { return nil }, 1},
		"whitespace": {func(b []byte) []byte { return bytes.Replace(b, []byte(`{"sequence":5,`), []byte(`{"sequence": 5,`), 1) }, 5},
		"garbage":    {func(b []byte) []byte { return bytes.Replace(b, []byte(`{"sequence":6,`), []byte(`{"sequence`), 1) }, 6},
		"nothing":    {func(b []byte) []byte { return b }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir)
			l.each(0, 10)
			l.flush(true)
			change(t, path(dir, 1), c.tamper)
			_, err := Verify(dir, l.Anchors())
			var broken *BrokenError
			switch {
			case c.broken == 0 && err != nil:
				t.Errorf("untouched: %v", err)
			case c.broken != 0 && (!errors.As(err, &broken) || broken.Sequence != c.broken):
				t.Errorf("got %v, want record %d", err, c.broken)
			}
		})
	}
	// A whole chain made anew is consistent in itself; the anchor tells.
	dir := t.TempDir()
	l := open(t, dir)
	l.Add(login)
	l.flush(true)
	var broken *BrokenError
	if _, err := Verify(dir, map[Class]Anchor{Logins: {First: 1, Last: 1, Hash: "another"}}); !errors.As(err, &broken) {
		t.Errorf("another chain: got %v", err)
	}
	// So are the newest lines under another file's name.
	change(t, path(dir, 1), func(b []byte) []byte { return b })
	l.each(0, 3)
	l.flush(true)
	anchors := l.Anchors()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, path(dir, 1), func(b []byte) []byte { return bytes.Join(lines(b)[2:], nil) })
	if err := os.Rename(path(dir, 1), path(dir, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(dir, anchors); !errors.As(err, &broken) || broken.Sequence != 1 {
		t.Errorf("the oldest cut off and the file renamed: got %v", err)
	}
}

// TestFileIsReplaced swaps or removes the file under the writer's hands: it goes
// on in the file that others see, and loses no line.
func TestFileIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		act    func(t *testing.T, file string)
		broken uint64 // 0: nothing is missing
	}{
		"edited in place by a copy": {func(t *testing.T, file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file+".new", b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		}, 0},
		"removed": {func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}, 1},
		"cut": {func(t *testing.T, file string) {
			change(t, file, func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] })
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir)
			l.each(0, 5)
			l.flush(true)
			anchors := l.Anchors()
			l.each(5, 2) // not flushed yet
			c.act(t, path(dir, 1))
			l.each(7, 3)
			l.flush(true)
			if l.Replaced() != 1 || l.Failed() != nil {
				t.Errorf("replaced %d times, %v", l.Replaced(), l.Failed())
			}
			l.Add(Entry{User: "last", Via: "sql", Action: "Login", Decision: "done"})
			l.flush(true)
			rs, err := Read(dir, time.Time{}, 100)
			if err != nil || len(rs) < 4 || rs[len(rs)-1].User != "last" || rs[len(rs)-1].Sequence != 11 || l.Replaced() != 1 {
				t.Errorf("got %+v %v, replaced %d times", rs, err, l.Replaced())
			}
			_, err = Verify(dir, anchors)
			var broken *BrokenError
			if c.broken == 0 && err != nil || c.broken != 0 && (!errors.As(err, &broken) || broken.Sequence != c.broken) {
				t.Errorf("verify: got %v, want record %d", err, c.broken)
			}
		})
	}
}

// TestRotationIsTriedAgain has the next file of a class refuse to be made, for a
// while: no record may be lost, then or later.
func TestRotationIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.each(0, 5)
	l.flush(true)
	c := l.mu.chains[Logins]
	c.size += fileBytes // as if the file were full
	inTheWay := path(dir, 6)
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	l.each(5, 1)
	if l.Failed() == nil {
		t.Fatal("a record was written though its file could not be made")
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	l.each(6, 1)
	l.flush(true)
	if kept, err := Verify(dir, l.Anchors()); l.Failed() != nil || err != nil || kept[Logins] != (Kept{1, 6}) {
		t.Errorf("kept %v, %v, %v; want 6 records", kept, l.Failed(), err)
	}
}
