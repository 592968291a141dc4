package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// TestDeletionsLeaveTheDisk deletes all but the newest version of rows, as garbage is
// collected: once that is flushed, the engine compacts what it deletes away by itself.
// Disks shrink by that alone.
func TestDeletionsLeaveTheDisk(t *testing.T) {
	const rows, versions, size = 4000, 25, 200
	e, err := Open(Options{Dir: t.TempDir(), MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	rng := rand.New(rand.NewPCG(1, 2))
	write := func(version int, op func(b *Batch, key []byte) error) {
		b := e.NewWriteBatch()
		for row := range rows {
			key := keys.Version(keys.Row(cluster.DefaultPool, 32, 7, fmt.Appendf(nil, "%08d\x00", row)), hlc.Timestamp(1000+version))
			if err := op(b, key); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
	}
	for v := range versions {
		write(v, func(b *Batch, key []byte) error {
			value := make([]byte, size)
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			return b.Set(key, value)
		})
	}
	tables := func() uint64 {
		n, err := e.EstimateBytes([]byte{0}, []byte{0xff})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	full := tables()
	if full < rows*versions*size {
		t.Fatalf("%d bytes of tables hold %d versions of %d", full, rows*versions, size)
	}
	for v := range versions - 1 {
		write(v, func(b *Batch, key []byte) error { return b.Delete(key) })
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); tables() > full/10; <-tick.C {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%d of %d bytes are in tables a minute after all but one in %d was deleted", tables(), full, versions)
		}
	}
	t.Logf("%d bytes of tables became %d", full, tables())
}
