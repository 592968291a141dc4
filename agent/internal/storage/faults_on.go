//go:build invariants

package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faultsName is the file, beside the store's directory, that says what is wrong with
// the disk. Each line is an operation (sync, write, read) and a fault (hang, EIO,
// ENOSPC, or how long it takes: 200ms), or "free" and a number of bytes. Only
// binaries with the tag "invariants" look at it: tests make a disk hang, fail and
// fill without root and without a device.
const faultsName = "disk-faults"

// faultsEvery is how often it is looked at.
const faultsEvery = 20 * time.Millisecond

type faults struct {
	mu      sync.Mutex
	changed *sync.Cond
	text    string
	of      map[string]string
}

func injectFaults(fs FS, dir string) FS {
	f := &faults{}
	f.changed = sync.NewCond(&f.mu)
	path := filepath.Join(filepath.Dir(dir), faultsName)
	f.read(path)
	go func() { // for as long as the process lives: it is a test's
		for range time.Tick(faultsEvery) {
			f.read(path)
		}
	}()
	return wrapFaults(fs, f.before)
}

func (f *faults) read(path string) {
	b, _ := os.ReadFile(path) //nolint:gosec // no file: no faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if string(b) == f.text && f.of != nil {
		return
	}
	f.text, f.of = string(b), map[string]string{}
	for line := range strings.Lines(f.text) {
		if op, fault, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			f.of[op] = fault
		}
	}
	f.changed.Broadcast()
}

// before waits or fails as the file says.
func (f *faults) before(op errorfs.Op) error {
	kind := "write"
	switch {
	case op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo:
		kind = "sync"
	case op.Kind.ReadOrWrite() == errorfs.OpIsRead:
		kind = "read"
	}
	f.mu.Lock()
	for f.of[kind] == "hang" {
		f.changed.Wait()
	}
	fault := f.of[kind]
	f.mu.Unlock()
	switch fault {
	case "":
		return nil
	case "EIO":
		return &os.PathError{Op: kind, Path: op.Path, Err: syscall.EIO}
	case "ENOSPC":
		return &os.PathError{Op: kind, Path: op.Path, Err: syscall.ENOSPC}
	}
	d, err := time.ParseDuration(fault)
	if err != nil {
		panic(fmt.Sprintf("%s: %q is no fault of a disk", faultsName, fault))
	}
	<-time.After(d) // the disk hangs
	return nil
}

// injectedFree tells how much room a test wants there to be beside the data in dir.
func injectedFree(dir string) (free uint64, ok bool) {
	b, err := os.ReadFile(filepath.Join(dir, faultsName)) //nolint:gosec // no file: no faults
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if n, is := strings.CutPrefix(strings.TrimSpace(line), "free "); is {
			free, err = strconv.ParseUint(n, 10, 64)
			return free, err == nil
		}
	}
	return 0, false
}
