package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func open(t testing.TB, fs FS) *Engine {
	t.Helper()
	e, err := Open(Options{Dir: "d", FS: fs, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustSet(t testing.TB, e *Engine, key, value string, sync bool) {
	t.Helper()
	b := e.NewWriteBatch()
	if err := errors.Join(b.Set([]byte(key), []byte(value)), b.Commit(sync), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestBatchSeesItsOwnWrites(t *testing.T) {
	e := open(t, NewCrashableFS())
	defer e.Close()
	mustSet(t, e, "a", "old", false)
	b := e.NewBatch()
	defer b.Close()
	for _, err := range []error{b.Set([]byte("b"), []byte("new")), b.DeleteRange([]byte("a"), []byte("b"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, _ := b.Get([]byte("a")); ok {
		t.Error("the batch does not see its range deletion")
	}
	if v, ok, _ := b.Get([]byte("b")); !ok || string(v) != "new" {
		t.Errorf("the batch reads %q, want new", v)
	}
	if _, ok, _ := e.Get([]byte("b")); ok {
		t.Error("the engine sees an uncommitted write")
	}
}

func TestSnapshotStaysValidDuringIngest(t *testing.T) {
	e := open(t, NewCrashableFS())
	defer e.Close()
	mustSet(t, e, "a", "old", true)
	s := e.NewSnapshot()
	path := table(t, e, "a", "z", map[string]string{"b": "new"})
	if err := e.Ingest([]string{path}); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := e.Get([]byte("a")); ok {
		t.Error("the table's range deletion did not remove an older key")
	}
	if v, ok, _ := e.Get([]byte("b")); !ok || string(v) != "new" {
		t.Errorf("read %q after the ingest, want new", v)
	}
	if v, ok, _ := s.Get([]byte("a")); !ok || string(v) != "old" {
		t.Errorf("snapshot reads %q, want old", v)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// table makes a table that replaces [from, to) by pairs.
func table(t testing.TB, e *Engine, from, to string, pairs map[string]string) string {
	t.Helper()
	w, err := e.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range pairs {
		if err := w.Set([]byte(k), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.DeleteRange([]byte(from), []byte(to)); err != nil {
		t.Fatal(err)
	}
	path, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCrashLeavesAPrefix cuts the power at random moments: what was synced is
// there, and what is there is a prefix of what was written.
func TestCrashLeavesAPrefix(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := NewCrashableFS()
		e := open(t, fs)
		synced, last := -1, 20+rng.IntN(200)
		for i := range last {
			sync := rng.IntN(10) == 0
			mustSet(t, e, fmt.Sprintf("%04d", i), "v", sync)
			if sync {
				synced = i
			}
		}
		clone := CrashClone(fs, rng.IntN(101), rng)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = open(t, clone)
		n := 0
		for ; n < last; n++ {
			if _, ok, err := e.Get(fmt.Appendf(nil, "%04d", n)); err != nil {
				t.Fatal(err)
			} else if !ok {
				break
			}
		}
		if n <= synced {
			t.Errorf("seed %d: key %d was synced and is gone", seed, n)
		}
		for i := n; i < last; i++ {
			if _, ok, _ := e.Get(fmt.Appendf(nil, "%04d", i)); ok {
				t.Errorf("seed %d: key %d is there without key %d", seed, i, n)
			}
		}
		_ = e.Close()
	}
}

func TestIngestIsAtomic(t *testing.T) {
	old, fresh := 0, 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := NewCrashableFS()
		var clone *MemFS
		left := 1 + rng.IntN(12)
		e := open(t, SyncHookFS(fs, func() {
			if left--; left == 0 {
				clone = CrashClone(fs, rng.IntN(101), rng)
			}
		}))
		left = 1 << 30
		mustSet(t, e, "a1", "old", true)
		mustSet(t, e, "m1", "old", true)
		paths := []string{table(t, e, "a", "b", map[string]string{"a2": "new"}), table(t, e, "m", "n", map[string]string{"m2": "new"})}
		left = 1 + rng.IntN(8)
		if err := e.Ingest(paths); err != nil {
			t.Fatal(err)
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
		if clone == nil {
			clone = CrashClone(fs, rng.IntN(101), rng)
		}
		_ = e.Close()
		e = open(t, clone)
		state := ""
		for _, k := range []string{"a1", "a2", "m1", "m2"} {
			if _, ok, _ := e.Get([]byte(k)); ok {
				state += k
			}
		}
		switch state {
		case "a1m1":
			old++
		case "a2m2":
			fresh++
		default:
			t.Errorf("seed %d: a crash left %q", seed, state)
		}
		_ = e.Close()
	}
	if old == 0 || fresh == 0 {
		t.Errorf("%d old, %d new: the test proves nothing", old, fresh)
	}
}

func TestIncomingIsEmptiedAtOpen(t *testing.T) {
	fs := NewCrashableFS()
	e := open(t, fs)
	path := table(t, e, "a", "b", nil)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, fs)
	defer e.Close()
	if _, err := fs.Stat(path); err == nil {
		t.Errorf("%s is still there", path)
	}
}

// TestFailedWriteIsFatal wants an error, not a panic and not silence, that says
// whether the disk is full.
func TestFailedWriteIsFatal(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		full bool
	}{
		{"broken disk", errors.New("disk is on fire"), false},
		{"full disk", syscall.ENOSPC, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fail := false
			fs := FaultFS(NewCrashableFS(), func() error {
				if fail {
					return tt.err
				}
				return nil
			})
			var reported error
			e, err := Open(Options{Dir: "d", FS: fs, OnFatal: func(err error) { reported = err }})
			if err != nil {
				t.Fatal(err)
			}
			fail = true
			b := e.NewWriteBatch()
			if err := b.Set([]byte("a"), []byte("b")); err != nil {
				t.Fatal(err)
			}
			if err := b.Commit(true); !errors.Is(err, ErrFatal) || !errors.Is(reported, ErrFatal) {
				t.Errorf("commit: %v, reported: %v; want %v", err, reported, ErrFatal)
			}
			if got := errors.Is(reported, ErrDiskFull); got != tt.full {
				t.Errorf("%v says that the disk is full: %t, want %t", reported, got, tt.full)
			}
			// The engine is not closed: nobody may use it any more, not even to close it.
		})
	}
}

func TestIterator(t *testing.T) {
	e := open(t, NewCrashableFS())
	defer e.Close()
	for _, k := range []string{"a", "b", "c", "d"} {
		mustSet(t, e, k, k, false)
	}
	it, err := e.NewIter([]byte("b"), []byte("d"))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var got [][]byte
	for ok := it.First(); ok; ok = it.Next() {
		got = append(got, bytes.Clone(it.Key()))
	}
	if !it.Last() || string(it.Key()) != "c" || it.Prev() && string(it.Key()) != "b" || len(got) != 2 {
		t.Errorf("got %q", got)
	}
	if it.SeekLT([]byte("b")) || !it.SeekGE([]byte("a")) || string(it.Key()) != "b" {
		t.Error("seeks leave the bounds")
	}
}

// TestCrashCloneIsOfItsSeed: what a power cut leaves follows from the seed, and is
// between what was synced and what was written.
func TestCrashCloneIsOfItsSeed(t *testing.T) {
	fs := NewCrashableFS()
	for i := range 20 {
		f, err := fs.Create(fmt.Sprint("/f", i), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, first := f.Write(bytes.Repeat([]byte{1}, 5000))
		synced := f.Sync()
		if i == 9 { // the names of the later ones are not synced
			d, err := fs.OpenDir("/")
			if err = errors.Join(err, d.Sync(), d.Close()); err != nil {
				t.Fatal(err)
			}
		}
		_, second := f.Write(bytes.Repeat([]byte{2}, 10000))
		if err := errors.Join(first, synced, second, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	left := func(percent int, seed uint64) string {
		clone := CrashClone(CrashClone(fs, percent, rand.New(rand.NewPCG(seed, 1))), 0, nil)
		var text strings.Builder
		for i := range 20 {
			b, err := readAll(clone, fmt.Sprint("/f", i))
			if i < 10 && (err != nil || !bytes.HasPrefix(b, bytes.Repeat([]byte{1}, 5000))) {
				t.Fatalf("file %d lost what was synced: %d bytes, %v", i, len(b), err)
			}
			fmt.Fprint(&text, len(b), bytes.Count(b, []byte{2}), " ")
		}
		return text.String()
	}
	first := left(50, 1)
	for range 5 {
		if again := left(50, 1); again != first {
			t.Fatalf("one seed leaves\n%s\nand\n%s", first, again)
		}
	}
	if left(50, 2) == first {
		t.Error("two seeds leave the same")
	}
	if got, want := left(100, 1), strings.Repeat("15000 10000 ", 20); got != want {
		t.Errorf("with all that was written:\n%s\nwant\n%s", got, want)
	}
	if got, want := left(0, 1), strings.Repeat("5000 0 ", 10)+strings.Repeat("0 0 ", 10); got != want {
		t.Errorf("with what was synced alone:\n%s\nwant\n%s", got, want)
	}
}
