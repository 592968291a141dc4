package raftlog

import (
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

type fixture struct {
	t *testing.T
	e *storage.Engine
	l *Log
}

func newFixture(t *testing.T) *fixture {
	e, err := storage.Open(storage.Options{Dir: "d", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	f := &fixture{t: t, e: e}
	b := e.NewBatch()
	f.must(WriteReset(b, 2, Position{10, 5}, &pb.HardState{Term: new(uint64(5)), Commit: new(uint64(10))}))
	f.must(b.Commit(true))
	f.must(b.Close())
	f.load(10)
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) load(applied uint64) {
	f.t.Helper()
	l, err := Load(f.e, 2, applied, Source{ConfState: func() *pb.ConfState { return &pb.ConfState{} }})
	f.must(err)
	f.l = l
}

func entries(first, last, term uint64) []*pb.Entry {
	var es []*pb.Entry
	for i := first; i <= last; i++ {
		e := NewEntry(pb.EntryNormal, term, i)
		e.Data = fmt.Appendf(nil, "%d.%d", i, term)
		es = append(es, e)
	}
	return es
}

// append does what replica and log writer do together.
func (f *fixture) append(es []*pb.Entry, hs *pb.HardState) {
	f.t.Helper()
	a := f.l.NewAppend(es, hs)
	b := f.e.NewWriteBatch()
	f.must(a.Write(b))
	f.must(b.Commit(true))
	f.must(b.Close())
	f.l.Appended(&a)
}

func (f *fixture) want(lo, hi uint64, terms ...uint64) {
	f.t.Helper()
	es, err := f.l.Entries(lo, hi, 1<<30)
	f.must(err)
	if len(es) != len(terms) {
		f.t.Fatalf("entries [%d,%d): got %d, want %d", lo, hi, len(es), len(terms))
	}
	for i, e := range es {
		want := fmt.Sprintf("%d.%d", lo+uint64(i), terms[i])
		if e.GetTerm() != terms[i] || e.GetIndex() != lo+uint64(i) || string(e.Data) != want {
			f.t.Errorf("entry %d: got term %d, index %d, %q; want %q", lo+uint64(i), e.GetTerm(), e.GetIndex(), e.Data, want)
		}
		if term, err := f.l.Term(e.GetIndex()); err != nil || term != terms[i] {
			f.t.Errorf("term of %d: %d, %v; want %d", e.GetIndex(), term, err, terms[i])
		}
	}
}

func TestAppendAndReload(t *testing.T) {
	f := newFixture(t)
	f.append(entries(11, 13, 5), &pb.HardState{Term: new(uint64(6)), Vote: new(uint64(2)), Commit: new(uint64(12))})
	f.want(11, 14, 5, 5, 5)
	f.load(10)
	f.want(11, 14, 5, 5, 5)
	hs, _, _ := f.l.InitialState()
	if hs.GetTerm() != 6 || hs.GetVote() != 2 || hs.GetCommit() != 12 {
		t.Errorf("hard state %v", hs)
	}
	f.load(13)
	if hs, _, _ := f.l.InitialState(); hs.GetCommit() != 13 {
		t.Errorf("commit %d, want it raised to the applied index 13", hs.GetCommit())
	}
}

func TestReplacedEntriesGo(t *testing.T) {
	f := newFixture(t)
	f.append(entries(11, 16, 5), nil)
	held, err := f.l.Entries(11, 17, 1<<30)
	f.must(err)
	f.append(entries(13, 14, 7), nil)
	f.want(11, 15, 5, 5, 7, 7)
	if string(held[2].Data) != "13.5" {
		t.Errorf("entries handed out before were changed: %q", held[2].Data)
	}
	if _, err := f.l.Entries(15, 16, 1); !errors.Is(err, raft.ErrUnavailable) {
		t.Errorf("entry 15: %v, want %v", err, raft.ErrUnavailable)
	}
	f.load(10)
	f.want(11, 15, 5, 5, 7, 7)
}

func TestReplacementWhileAnAppendIsOnItsWay(t *testing.T) {
	f := newFixture(t)
	a, b := f.l.NewAppend(entries(11, 16, 5), nil), f.l.NewAppend(entries(12, 12, 7), nil)
	w := f.e.NewWriteBatch()
	f.must(a.Write(w))
	f.must(b.Write(w))
	f.must(w.Commit(true))
	f.must(w.Close())
	f.l.Appended(&a)
	f.l.Appended(&b)
	f.want(11, 13, 5, 7)
	f.load(10)
	f.want(11, 13, 5, 7)
}

func TestTruncate(t *testing.T) {
	f := newFixture(t)
	f.append(entries(11, 30, 5), nil)
	b := f.e.NewBatch()
	f.must(f.l.Truncate(b, 20))
	f.must(b.Commit(false))
	f.must(b.Close())
	for range 2 {
		if _, err := f.l.Entries(20, 22, 1); !errors.Is(err, raft.ErrCompacted) {
			t.Errorf("entry 20: %v, want %v", err, raft.ErrCompacted)
		}
		if term, err := f.l.Term(20); err != nil || term != 5 {
			t.Errorf("term of 20: %d, %v", term, err)
		}
		f.want(21, 23, 5, 5)
		f.load(25)
	}
}

func TestCacheIsBounded(t *testing.T) {
	f := newFixture(t)
	for i := uint64(11); i < 111; i++ {
		e := NewEntry(pb.EntryNormal, 5, i)
		e.Data = make([]byte, 8<<10)
		f.append([]*pb.Entry{e}, nil)
	}
	if f.l.cacheBytes > cacheLimit || len(f.l.cache) >= 100 {
		t.Errorf("cache holds %d bytes in %d entries", f.l.cacheBytes, len(f.l.cache))
	}
	es, err := f.l.Entries(11, 111, 1<<30)
	if err != nil || len(es) != 100 {
		t.Fatalf("%d entries, %v; want 100", len(es), err)
	}
	es, err = f.l.Entries(11, 111, 20<<10)
	if err != nil || len(es) != 2 {
		t.Errorf("%d entries, %v; want 2 in 20 KiB", len(es), err)
	}
	if es, err = f.l.Entries(11, 111, 1); err != nil || len(es) != 1 {
		t.Errorf("%d entries, %v; want at least one", len(es), err)
	}
}

func TestReset(t *testing.T) {
	f := newFixture(t)
	f.append(entries(11, 30, 5), nil)
	b := f.e.NewBatch()
	f.must(WriteReset(b, 2, Position{100, 9}, nil))
	f.must(b.Commit(true))
	f.must(b.Close())
	f.l.Reset(Position{100, 9})
	for range 2 {
		first, _ := f.l.FirstIndex()
		last, _ := f.l.LastIndex()
		if term, err := f.l.Term(100); first != 101 || last != 100 || term != 9 || err != nil {
			t.Errorf("log (%d, %d], term %d, %v", first-1, last, term, err)
		}
		f.load(100)
	}
	f.append(entries(101, 102, 9), nil)
	f.want(101, 103, 9, 9)
}

func TestHolesAreRefused(t *testing.T) {
	f := newFixture(t)
	f.append(entries(11, 15, 5), nil)
	b := f.e.NewBatch()
	f.must(b.Delete(keys.RaftEntry(2, 13)))
	f.must(b.Commit(true))
	f.must(b.Close())
	if _, err := Load(f.e, 2, 11, Source{}); !errors.Is(err, storage.ErrCorruption) {
		t.Errorf("a log with a hole: %v, want %v", err, storage.ErrCorruption)
	}
	if _, err := Load(f.e, 2, 99, Source{}); !errors.Is(err, storage.ErrCorruption) {
		t.Errorf("applied beyond the log: %v, want %v", err, storage.ErrCorruption)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeEntry(nil, entries(7, 7, 3)[0]))
	f.Add(encodeHardState(&pb.HardState{}))
	f.Add(encodePosition(Position{1, 2}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := decodeEntry(7, data); err == nil && e.GetIndex() != 7 {
			t.Errorf("entry %v", e)
		}
		_, _ = decodeHardState(data)
		_, _ = decodePosition(data)
	})
}

// BenchmarkAppend writes rounds of entries of 220 bytes without a sync.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []uint64{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, err := storage.Open(storage.Options{Dir: "d", FS: storage.NewCrashableFS()})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = e.Close() }()
			es := entries(11, 10+n, 6)
			for _, x := range es {
				x.Data = make([]byte, 220)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := e.NewWriteBatch()
				a := Append{Range: 2, Entries: es}
				if err := errors.Join(a.Write(w), w.Close()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
