package storage_test

import (
	"errors"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

// logOps are the operations of which a log, and the promise beside it, are made.
var logOps = []struct {
	name  string
	rows  int  // after which the operation is still met; then logs are reused
	opens bool // a store that opens does it
	is    func(op errorfs.Op) bool
}{
	{"create", 14, true, func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isLog(op) }},
	{"reuse", 90, false, func(op errorfs.Op) bool { return op.Kind == errorfs.OpReuseForWrite }},
	{"look at what is reused", 90, false, func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileStat && isLog(op) }},
	{"sync its name", 90, true, func(op errorfs.Op) bool { return isSync(op) && path.Base(op.Path) == "store" }},
	{"write", 90, false, func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isLog(op) }},
	{"sync", 90, false, func(op errorfs.Op) bool { return isSync(op) && isLog(op) }},
	{"promise", 90, false, func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpFileWriteAt && path.Base(op.Path) == "synced"
	}},
	{"MANIFEST", 90, true, func(op errorfs.Op) bool {
		return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasPrefix(path.Base(op.Path), "MANIFEST")
	}},
	{"every sync", 90, true, isSync},
	{"every write", 90, true, func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }},
}

func isLog(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }

func isSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

// TestALogThatFailsEndsTheStore has each operation on a log fail in turn, from some
// row on, so that it is met by a commit or where one log follows another: the store
// says so once, who commits is told, nothing that was acknowledged is gone after a
// crash, and the store can be closed.
func TestALogThatFailsEndsTheStore(t *testing.T) {
	for _, op := range logOps {
		for rows := 1; rows < op.rows; rows += 11 {
			errno := []syscall.Errno{syscall.EIO, syscall.ENOSPC}[rows%2]
			failLog(t, failing{op.name, op.is, errno, rows%3 == 0, rows})
		}
	}
}

type failing struct {
	name          string
	is            func(op errorfs.Op) bool
	errno         syscall.Errno
	deterministic bool
	rows          int // until it fails
}

func failLog(t *testing.T, f failing) {
	t.Helper()
	var fails atomic.Bool
	mem := storage.NewCrashableFS()
	fs := storage.WrapFaults(mem, func(op errorfs.Op) error {
		if fails.Load() && f.is(op) {
			return &os.PathError{Op: "use", Path: op.Path, Err: f.errno}
		}
		return nil
	})
	told := make(chan error, 64)
	e, err := storage.Open(storage.Options{
		Dir: "store", FS: fs, MemTableBytes: 256 << 10, Deterministic: f.deterministic, OnFatal: func(err error) { told <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	var acked atomic.Int64
	fill(e, f.rows, &acked, func(err error) { t.Errorf("%+v: before it fails: %v", f, err) })
	fails.Store(true)
	var got error
	fill(e, 200, &acked, func(err error) { got = err }) // about a dozen logs
	full := f.errno == syscall.ENOSPC
	if !errors.Is(got, storage.ErrFatal) || errors.Is(got, storage.ErrDiskFull) != full || !errors.Is(got, f.errno) {
		t.Errorf("%+v: a commit ends with %v", f, got)
	}
	if n := len(told); n != 1 {
		t.Errorf("%+v: told %d times", f, n)
	} else if err := <-told; !errors.Is(err, storage.ErrFatal) || errors.Is(err, storage.ErrDiskFull) != full {
		t.Errorf("%+v: told %v", f, err)
	}
	left := storage.CrashClone(mem, 0, nil)
	if err := e.Close(); !errors.Is(err, storage.ErrFatal) {
		t.Errorf("%+v: closed: %v", f, err)
	}
	for _, fs := range []storage.FS{left, storage.CrashClone(mem, 0, nil)} {
		e, err := storage.Open(storage.Options{Dir: "store", FS: fs})
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		for i := range int(acked.Load()) {
			if _, ok, err := e.Get(key(i)); !ok || err != nil {
				t.Errorf("%+v: row %d of %d that were acknowledged: %t, %v", f, i, acked.Load(), ok, err)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestALogThatFailsAtOpen: a store whose first log fails does not open.
func TestALogThatFailsAtOpen(t *testing.T) {
	for _, op := range logOps {
		if !op.opens {
			continue
		}
		fs := storage.WrapFaults(storage.NewCrashableFS(), func(o errorfs.Op) error {
			if op.is(o) {
				return &os.PathError{Op: "use", Path: o.Path, Err: syscall.EIO}
			}
			return nil
		})
		if _, err := storage.Open(storage.Options{Dir: "store", FS: fs}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", op.name, err)
		}
	}
}
