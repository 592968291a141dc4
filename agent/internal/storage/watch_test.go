package storage_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestTheWatchSeesWhatHangs holds a sync of the log, and asks meanwhile.
func TestTheWatchSeesWhatHangs(t *testing.T) {
	var hold atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	fs := storage.SyncHookFS(storage.NewCrashableFS(), func() {
		if hold.CompareAndSwap(true, false) {
			close(entered)
			<-release
		}
	})
	e, err := storage.Open(storage.Options{Dir: "store", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	commit := func() error {
		b := e.NewWriteBatch()
		return errors.Join(b.Set([]byte("a"), []byte("b")), b.Commit(true), b.Close())
	}
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	before := e.Disk().Syncs()
	if before.Count == 0 {
		t.Errorf("%+v after a synced commit", before)
	}
	hold.Store(true)
	done := make(chan error, 1)
	go func() { done <- commit() }()
	<-entered
	op, ok := e.Disk().Oldest()
	if !ok || op.Kind != "sync" || !strings.HasSuffix(op.Path, ".log") || !strings.HasPrefix(op.Path, "store") {
		t.Errorf("%+v, %t while a sync of the log hangs", op, ok)
	}
	if later, _ := e.Disk().Oldest(); later.Age <= op.Age {
		t.Errorf("age %s, then %s", op.Age, later.Age)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if after := e.Disk().Syncs(); after.Count <= before.Count || after.Longest < op.Age {
		t.Errorf("%+v after a sync that hung for %s", after, op.Age)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if op, ok := e.Disk().Oldest(); ok {
		t.Errorf("%+v is under way on a store that is closed", op)
	}
}

// TestOpenTellsHowFarItIs opens a store whose log has to be replayed.
func TestOpenTellsHowFarItIs(t *testing.T) {
	mem := storage.NewCrashableFS()
	e, err := storage.Open(storage.Options{Dir: "store", FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	const written = 4 << 20
	b := e.NewWriteBatch()
	for i := range byte(4) {
		if err := b.Set([]byte{i}, make([]byte, written/4)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.Commit(true), b.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	var disk *storage.Watch
	var seen []storage.Reading
	fs := storage.SyncHookFS(mem, func() { seen = append(seen, disk.Reading()) })
	e, err = storage.Open(storage.Options{Dir: "store", FS: fs, OnDisk: func(w *storage.Watch) { disk = w }, Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	first, last := seen[0], storage.Reading{}
	for _, r := range seen {
		if r.What != "" {
			last = r
		}
	}
	if first.What == "" || first.Total < written || first.Done != 0 || last.Done < written || last.Done > last.Total {
		t.Errorf("a store with a log of %d bytes is opened: %+v", written, seen)
	}
	if r := e.Disk().Reading(); r.What != "" {
		t.Errorf("%+v is read by a store that is open", r)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
