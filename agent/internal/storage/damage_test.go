package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

func key(i int) []byte { return fmt.Appendf(nil, "k%06d", i) }

// tabled makes a store whose rows are in tables, and returns how many there are.
func tabled(t *testing.T, fs storage.FS) (rows int) {
	t.Helper()
	e, err := storage.Open(storage.Options{Dir: "store", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := e.NewWriteBatch()
	for rows = range 2000 {
		if err := b.Set(key(rows), fmt.Appendf(nil, "row %d of a table that rots", rows*rows)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.Commit(true), b.Close(), e.Flush(), e.Close()); err != nil {
		t.Fatal(err)
	}
	return rows + 1
}

// readAll reads all rows and returns how many were right; another value is an error.
func readAll(t *testing.T, e *storage.Engine, rows int) (right int, damage error) {
	t.Helper()
	for i := range rows {
		v, ok, err := e.Get(key(i))
		switch {
		case err != nil:
			damage = err
		case !ok || string(v) != fmt.Sprintf("row %d of a table that rots", i*i):
			t.Fatalf("row %d is %q, %t", i, v, ok)
		default:
			right++
		}
	}
	return right, damage
}

// TestDamageIsToldAndNeverAnswered reads a table with flipped bits, and one of which
// the disk cannot read a part.
func TestDamageIsToldAndNeverAnswered(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, mem *storage.MemFS) storage.FS{
		"flipped bits": func(t *testing.T, mem *storage.MemFS) storage.FS {
			t.Helper()
			flip(t, mem)
			return mem
		},
		"EIO": func(_ *testing.T, mem *storage.MemFS) storage.FS {
			return errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") && op.Offset == 0 {
					return &os.PathError{Op: "read", Path: op.Path, Err: syscall.EIO}
				}
				return nil
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem := storage.NewCrashableFS()
			rows := tabled(t, mem)
			var told atomic.Pointer[storage.Damage]
			e, err := storage.Open(storage.Options{Dir: "store", FS: damage(t, mem), OnDamage: func(d storage.Damage) { told.Store(&d) }})
			if err != nil {
				t.Fatal(err)
			}
			right, err := readAll(t, e, rows)
			if !errors.Is(err, storage.ErrCorruption) || right == 0 || right == rows {
				t.Errorf("%d of %d rows were read; the rest: %v, want ErrCorruption", right, rows, err)
			}
			if d := told.Load(); d == nil || !errors.Is(d.Err, storage.ErrCorruption) || !bytes.Equal(d.Start, key(0)) ||
				bytes.Compare(d.End, key(rows-1)) <= 0 || !strings.HasSuffix(d.Path, ".sst") {
				t.Errorf("what is told of it: %+v", d)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// flip changes a byte near the begin of the only table.
func flip(t *testing.T, mem *storage.MemFS) {
	t.Helper()
	names, err := mem.List("store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := mem.OpenReadWrite(mem.PathJoin("store", name), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], 100); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b[:], 100); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("there is no table")
}

// TestAFullDiskEndsTheStore has the disk be full, or fail, at each kind of file in
// turn: the store ends with an error that says so, nobody waits for ever, nothing
// panics, and what was acknowledged is there after a crash.
func TestAFullDiskEndsTheStore(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		kind       errorfs.OpKind
		fault      syscall.Errno
		flush      bool
	}{
		{"log", ".log", errorfs.OpFileWrite, syscall.ENOSPC, false},
		{"next log", ".log", errorfs.OpCreate, syscall.ENOSPC, false},
		{"table", ".sst", errorfs.OpFileWrite, syscall.ENOSPC, true},
		{"table that fails", ".sst", errorfs.OpFileWrite, syscall.EIO, true},
		{"MANIFEST", "MANIFEST", errorfs.OpFileWrite, syscall.ENOSPC, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := storage.NewCrashableFS()
			var full atomic.Bool
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if full.Load() && op.Kind == tt.kind && strings.Contains(op.Path, tt.file) {
					return &os.PathError{Op: "write", Path: op.Path, Err: tt.fault}
				}
				return nil
			}))
			ended := make(chan error, 64)
			end := func(err error) {
				select {
				case ended <- err:
				default:
				}
			}
			e, err := storage.Open(storage.Options{Dir: "store", FS: fs, MemTableBytes: 256 << 10, OnFatal: end})
			if err != nil {
				t.Fatal(err)
			}
			var acked atomic.Int64
			fill(e, 2, &acked, nil)
			full.Store(true)
			go func() { // it may wait for what does not come
				if tt.flush {
					_ = e.Flush()
					return
				}
				fill(e, 100, &acked, end)
			}()
			err = <-ended
			if !errors.Is(err, storage.ErrFatal) || errors.Is(err, storage.ErrDiskFull) != (tt.fault == syscall.ENOSPC) {
				t.Errorf("the store ends with %v", err)
			}
			// The engine is not closed: nobody may use it any more, not even to close it.
			e, err = storage.Open(storage.Options{Dir: "store", FS: storage.CrashClone(mem, 0, nil)})
			if err != nil {
				t.Fatal(err)
			}
			for i := range int(acked.Load()) {
				if _, ok, err := e.Get(key(i)); !ok || err != nil {
					t.Errorf("row %d of those that were acknowledged: %t, %v", i, ok, err)
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// fill writes rows of 16 KiB until one fails, which it tells, and counts those that
// were acknowledged.
func fill(e *storage.Engine, rows int, acked *atomic.Int64, failed func(error)) {
	for i := range rows {
		b := e.NewWriteBatch()
		if err := errors.Join(b.Set(key(i), make([]byte, 16<<10)), b.Commit(true)); err != nil {
			failed(err)
			return
		}
		acked.Store(int64(i) + 1)
	}
}

// TestATableFromOutsideNeedsRoom: a snapshot that does not fit is refused, and the
// store goes on.
func TestATableFromOutsideNeedsRoom(t *testing.T) {
	var full atomic.Bool
	fs := errorfs.Wrap(storage.NewCrashableFS(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, "incoming") {
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))
	e, err := storage.Open(storage.Options{Dir: "store", FS: fs, OnFatal: func(err error) { t.Errorf("the store ends: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	w, err := e.NewTable()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Set(key(1), make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); !errors.Is(err, storage.ErrDiskFull) {
		t.Errorf("a table without room: %v", err)
	}
	var acked atomic.Int64
	fill(e, 3, &acked, func(err error) { t.Errorf("after that: %v", err) })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
