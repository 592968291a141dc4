package audit

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, slog.New(slog.DiscardHandler))
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

var login = Entry{User: "alice", Via: "sql", Source: "10.0.0.9", Action: "Login", Decision: "done"}

func TestChainGoesOn(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		l := open(t, dir)
		for range 5 {
			l.Add(login)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A crash cuts the last line off.
	names, err := files(dir)
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	path := filepath.Join(dir, names[0])
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, `{"sequence":16,"ti`...), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	l.Add(login)
	l.flush()
	if n, err := Verify(dir, l.Head()); err != nil || n != 16 || l.Head().Sequence != 16 {
		t.Errorf("got %d records, head %+v, %v; want 16", n, l.Head(), err)
	}
	rs, err := Read(dir, time.Time{}, 3)
	if err != nil || len(rs) != 3 || rs[2].Sequence != 16 || rs[2].User != "alice" {
		t.Errorf("read: got %+v %v", rs, err)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	long := login
	long.Why = strings.Repeat("x", textMost)
	for i := range 90000 {
		long.User = string(rune('a' + i%20))
		l.Add(long)
	}
	l.flush()
	names, err := files(dir)
	if err != nil || len(names) != filesKept {
		t.Fatalf("got %d files %v, want %d", len(names), err, filesKept)
	}
	if _, err := Verify(dir, l.Head()); err != nil {
		t.Error(err)
	}
	if _, err := Verify(dir, Head{Sequence: 1, Hash: "gone"}); err != nil {
		t.Errorf("an anchor in a file that is gone: %v", err)
	}
	// A crash right after a rotation leaves an empty file.
	last := l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName(last.Sequence+1)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if again.Head() != last {
		t.Errorf("took up at %+v, want %+v", again.Head(), last)
	}
}

func TestFloodIsCounted(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	refused := Entry{User: "alice", Via: "sql", Action: "Login", Decision: "refused", Why: "wrong password"}
	for range 1000 {
		l.Add(refused)
	}
	for i := range 5 * floodsMost {
		refused.User = strings.Repeat("u", i%180) + string(rune('a'+i%26)) + time.Duration(i).String()
		l.Add(refused)
	}
	l.flush()
	rs, err := Read(dir, time.Time{}, 10000)
	if err != nil {
		t.Fatal(err)
	}
	counted, many := 0, 0
	for _, r := range rs {
		if r.User == "alice" {
			counted += max(1, r.Count)
		}
		if r.Action == "Many" {
			many += r.Count
		}
	}
	if counted != 1000 || len(rs) > floodsMost+3 || many < 4*floodsMost {
		t.Errorf("alice counts %d in %d records, %d others; want 1000, few, the rest", counted, len(rs), many)
	}
}

func TestVerifyNamesATamperedLine(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(b []byte) []byte
		broken uint64
	}{
		"a name": {func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"source":"10.0.0.3"`), []byte(`"source":"10.9.9.9"`), 1)
		}, 4},
		"a line": {func(b []byte) []byte {
			l := bytes.SplitAfter(b, []byte("\n"))
			return bytes.Join(append(l[:2:2], l[3:]...), nil)
		}, 3},
		"the end":    {func(b []byte) []byte { l := bytes.SplitAfter(b, []byte("\n")); return bytes.Join(l[:7], nil) }, 10},
		"whitespace": {func(b []byte) []byte { return bytes.Replace(b, []byte(`{"sequence":5,`), []byte(`{"sequence": 5,`), 1) }, 5},
		"garbage":    {func(b []byte) []byte { return bytes.Replace(b, []byte(`{"sequence":6,`), []byte(`{"sequence`), 1) }, 6},
		"nothing":    {func(b []byte) []byte { return b }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir)
			for i := range 10 {
				e := login
				e.Source = "10.0.0." + string(rune('0'+i))
				l.Add(e)
			}
			l.flush()
			head := l.Head()
			path := filepath.Join(dir, fileName(1))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.tamper(b), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Verify(dir, head)
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
	l.flush()
	var broken *BrokenError
	if _, err := Verify(dir, Head{Sequence: 1, Hash: "another"}); !errors.As(err, &broken) {
		t.Errorf("another chain: got %v", err)
	}
}
