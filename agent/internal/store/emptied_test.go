package store

import (
	"errors"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestAnEmptiedStore reports what is gone until it is made anew or removed, and
// takes none of the old ids.
func TestAnEmptiedStore(t *testing.T) {
	f := &coreFixture{t: t, fs: storage.NewCrashableFS()}
	e, err := storage.Open(storage.Options{Dir: "d", FS: f.fs})
	f.must(err)
	b := e.NewBatch()
	if err := WriteEmptied(b, 1, []Emptied{{Range: 2, Replica: 3, Next: 3}}); err == nil {
		t.Error("the next replica id is one that was used: no error")
	}
	f.must(errors.Join(WriteEmptied(b, 1, []Emptied{{Range: 2, Replica: 3, Next: 5}, {Range: 4, Replica: 2, Next: 3}}), b.Commit(true), b.Close(), e.Close()))
	f.open()
	t.Cleanup(func() { _ = f.e.Close() })
	want := func(when string, gone ...cluster.RangeID) {
		t.Helper()
		for i, st := range f.c.Status() {
			if i >= len(gone) || st.Descriptor.ID != gone[i] || st.Failed != whyEmptied {
				t.Errorf("%s: got %+v, want %v gone", when, st, gone)
			}
		}
		if got := len(f.c.Status()); got != len(gone) {
			t.Errorf("%s: %d replicas, want %v gone", when, got, gone)
		}
	}
	want("at first", 2, 4)
	var refused *RefusedError
	f.c.PrepareReplica(descriptor(2, 32, 48), 4, func(e error) { err = e })
	if f.run(); !errors.As(err, &refused) {
		t.Errorf("an id below the tombstone: %v, want it refused", err)
	}
	f.c.DestroyReplica(4, 2, f.must)
	f.run()
	want("told to remove older ones", 2, 4)
	f.c.DestroyReplica(4, 3, f.must)
	f.run()
	want("removed", 2)
	f.must(f.e.Close())
	f.open()
	want("after a restart", 2)
	f.c.PrepareReplica(descriptor(2, 32, 48), 5, f.must)
	f.run()
	f.must(f.e.Close())
	f.open()
	if st := f.c.Status(); len(st) != 1 || st[0].Failed != "" || st[0].Replica != 5 {
		t.Errorf("made anew: got %+v", st)
	}
	if next, err := replica.Tombstone(f.e, 2); err != nil || next != 5 {
		t.Errorf("tombstone %d %v, want 5", next, err)
	}
}

func FuzzDecodeEmptied(f *testing.F) {
	f.Add(encodeEmptied(7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := decodeEmptied(b); err == nil && string(encodeEmptied(id)) != string(b) {
			t.Errorf("% x reads as %d", b, id)
		}
	})
}
