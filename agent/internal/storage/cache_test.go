package storage

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

// What was read stays in the cache while memtables are filled and flushed.
func TestMemTablesLeaveTheCacheItsRoom(t *testing.T) {
	e, err := Open(Options{Dir: "d", FS: NewCrashableFS(), CacheBytes: 4 << 20, MemTableBytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	noise := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 1000)
	key := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	fill := func(from, to int) {
		for n := from; n < to; n++ {
			_, _ = noise.Read(value)
			b := e.NewWriteBatch()
			if err := errors.Join(b.Set(key(n), value), b.Commit(false), b.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func() (missed int64) {
		before := e.Metrics().CacheMisses
		for n := range 1000 {
			if _, ok, err := e.Get(key(n)); !ok || err != nil {
				t.Fatalf("key %d: %v, %v", n, ok, err)
			}
		}
		return e.Metrics().CacheMisses - before
	}
	fill(0, 1000)
	fill(10_000, 14_000) // until memtables have grown to their size
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	first, again := read(), read()
	t.Logf("blocks not in the cache: %d, then %d", first, again)
	if first < 20 || again > first/10 {
		t.Errorf("%d blocks were not in the cache at first, and %d once they had been read", first, again)
	}
}
