package sim

import (
	"errors"
	"math/rand/v2"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

// tryDamaged lets a node that comes back find now and then that its disk has
// rotted: a copy of the disk with damage in what was synced must be refused. The
// node then goes on with the disk as it was. Its random numbers are its own, so
// that the run is the same without it.
func (n *Node) tryDamaged() {
	rng := rand.New(rand.NewPCG(n.w.cfg.Seed, uint64(n.id)<<32|uint64(n.life)))
	if rng.IntN(4) > 0 {
		return
	}
	fs := storage.CrashClone(n.fs, 100, rng)
	damaged, err := storage.DamageLog(fs, "store", rng)
	if err != nil {
		n.w.fail("damage the log of %s: %v", n.id, err)
	}
	if !damaged {
		return
	}
	n.w.Stats.Damaged++
	e, err := storage.Open(storage.Options{Dir: "store", FS: fs, ReadOnly: true, Deterministic: true, CacheBytes: 1 << 20})
	if err == nil {
		_ = e.Close()
	}
	if !errors.Is(err, storage.ErrCorruption) {
		n.w.fail("%s opens a store that lost what it had synced: %v", n.id, err)
	}
}
