package replica

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// idAt is the n-th id that a gateway made at ts.
func idAt(ts hlc.Timestamp, n uint64) (id CommandID) {
	binary.BigEndian.PutUint64(id[:], uint64(ts))
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func memEngine(t *testing.T) *storage.Engine {
	t.Helper()
	e, err := storage.Open(storage.Options{Dir: "d", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func commit(t *testing.T, e *storage.Engine, fn func(b *storage.Batch) error) {
	t.Helper()
	b := e.NewWriteBatch()
	if err := fn(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestIDsAreRememberedHoweverTheyArePacked applies one log in rounds of two sizes:
// both replicas know the same, store the same, and know it again after a start; and
// so does a range that is split off either.
func TestIDsAreRememberedHoweverTheyArePacked(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	e := memEngine(t)
	begin := hlc.New(time.UnixMilli(1_800_000_000_000))
	type command struct {
		id     CommandID
		ts     hlc.Timestamp
		result []byte
	}
	var log []command
	ts := begin
	for range 3000 {
		ts = ts.Add(time.Duration(rng.IntN(40)) * time.Millisecond).Next()
		c := command{id: idAt(ts.Add(-time.Duration(rng.IntN(12_000))*time.Millisecond), rng.Uint64()), ts: ts}
		if rng.IntN(20) == 0 {
			c.result = make([]byte, 1+rng.IntN(4000))
		}
		log = append(log, c)
	}
	var forgotten hlc.Timestamp
	var known [2]appliedIDs
	packed := []cluster.RangeID{7, 9}
	for i, size := range []int{1, 700} {
		forgotten = 0
		for at := 0; at < len(log); at += size {
			round := log[at:min(at+size, len(log))]
			commit(t, e, func(b *storage.Batch) error {
				for _, c := range round {
					if horizon := c.ts.Add(-IDAge); horizon >= forgotten.Add(forgetEvery) {
						forgotten = horizon
						if err := known[i].forget(b, packed[i], horizon); err != nil {
							return err
						}
					}
					known[i].add(c.id, c.ts, c.result)
				}
				return known[i].end(b, packed[i], uint64(at+len(round)), round[len(round)-1].ts)
			})
		}
	}
	commit(t, e, func(b *storage.Batch) error { return known[1].copyTo(b, 8, forgotten) })
	var again [3]appliedIDs
	for i, id := range []cluster.RangeID{7, 9, 8} {
		if err := again[i].load(e, id, forgotten); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range log {
		if c.id.Timestamp() < forgotten {
			continue
		}
		for i, a := range []*appliedIDs{&known[0], &known[1], &again[0], &again[1], &again[2]} {
			if at, result, ok := a.find(c.id); !ok || at != c.ts || len(result) != len(c.result) {
				t.Fatalf("%d: %x at %s: found %v at %s with %d bytes", i, c.id, c.ts, ok, at, len(result))
			}
		}
	}
	if _, _, ok := again[0].find(idAt(ts, 0)); ok {
		t.Error("an id that nobody used is known")
	}
	if !reflect.DeepEqual(again[0].buckets, again[1].buckets) || !reflect.DeepEqual(again[0].buckets, again[2].buckets) {
		t.Error("replicas that packed the log differently know different commands")
	}
	n := 0
	if err := visitIDs(e, 7, func(uint64, AppliedID) { n++ }); err != nil || n > len(log)*9/10 {
		t.Errorf("%d of %d ids are stored: old ones are not deleted (%v)", n, len(log), err)
	}
}

// TestWhatAnIDTakes holds the figure that appliedIDs promises.
func TestWhatAnIDTakes(t *testing.T) {
	const ids = 100_000
	begin := hlc.New(time.UnixMilli(1_800_000_000_000))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a := &appliedIDs{}
	for i := range uint64(ids) {
		ts := begin.Add(time.Duration(i) * IDAge / ids)
		a.remember(idAt(ts, i), ts, nil)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / ids
	t.Logf("%.1f bytes an id", each)
	if each > 60 {
		t.Errorf("%.1f bytes an id, 60 are promised", each)
	}
	runtime.KeepAlive(a)
}

func TestARecordOfIDsThatIsNone(t *testing.T) {
	whole := appendID([]byte{idsFormat}, idAt(9, 1), 10, []byte("result"))
	n := 0
	if err := decodeIDs(whole, func(AppliedID) { n++ }); err != nil || n != 1 {
		t.Errorf("%d commands, %v", n, err)
	}
	for i := range whole {
		if i == 1 {
			continue // no command at all
		}
		if err := decodeIDs(whole[:i], func(AppliedID) {}); err == nil {
			t.Errorf("%d of %d bytes are taken for a record", i, len(whole))
		}
	}
}
