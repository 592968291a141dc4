package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// WrapFaults is wrapFaults, for tests outside of the package.
var WrapFaults = wrapFaults

// killed returns a store as `kill -9` leaves it: a log of many blocks, most of
// them written together with others, and a synced end.
func killed(t testing.TB, logBytes int) *MemFS {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	fs := NewCrashableFS()
	e, err := Open(Options{Dir: "d", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for written := 0; written < logBytes; {
		b := e.NewWriteBatch()
		for range rng.IntN(20) {
			value := make([]byte, rng.IntN(8<<10))
			written += len(value)
			if err := b.Set(fmt.Appendf(nil, "%08d", written), value); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(b.Commit(rng.IntN(4) == 0), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	mustSet(t, e, "synced", strings.Repeat("s", 1000), true)
	clone := CrashClone(fs, 100, rng)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return clone
}

// syncedLog returns the log that fs ends with, and how far it was synced.
func syncedLog(t testing.TB, fs FS) (path string, b []byte, end logEnd) {
	t.Helper()
	end, ok, err := readSynced(fs, "d")
	if err != nil || !ok {
		t.Fatalf("no promise: %v", err)
	}
	path = fs.PathJoin("d", end.log.String()+".log")
	if b, err = readAll(fs, path); err != nil {
		t.Fatal(err)
	}
	return path, b, end
}

func rewrite(t testing.TB, fs FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// flip damages 8 bytes at at.
func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	for i := at; i < min(at+8, len(b)); i++ {
		b[i] ^= 0xa5
	}
	return b
}

// tryOpen opens d in fs both ways, and wants the same of both.
func tryOpen(t testing.TB, fs FS) error {
	t.Helper()
	var errs [2]error
	for i, readOnly := range []bool{true, false} {
		e, err := Open(Options{Dir: "d", FS: fs, ReadOnly: readOnly})
		if errs[i] = err; err != nil {
			continue
		}
		if _, ok, err := e.Get([]byte("synced")); err != nil || !ok {
			t.Errorf("opened without what was synced: %v %v", ok, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if (errs[0] == nil) != (errs[1] == nil) {
		t.Fatalf("read-only: %v, for writing: %v", errs[0], errs[1])
	}
	return errs[1]
}

func TestDamageBeforeTheSyncedEndIsRefused(t *testing.T) {
	fs := killed(t, 3<<20)
	path, log, end := syncedLog(t, fs)
	synced := int(end.length)
	if synced < 10*blockLen {
		t.Fatalf("%d synced bytes: the test proves nothing", synced)
	}
	for _, at := range []int{0, synced * 5 / 100, synced * 30 / 100, synced * 60 / 100, synced * 90 / 100, synced - 8, synced - 1} {
		rewrite(t, fs, path, flip(log, at))
		if err := tryOpen(t, fs); !errors.Is(err, ErrCorruption) {
			t.Errorf("damage at %d of %d synced bytes: got %v, want %v", at, synced, err, ErrCorruption)
		}
	}
	rewrite(t, fs, path, log[:synced-1])
	if err := tryOpen(t, fs); !errors.Is(err, ErrCorruption) {
		t.Errorf("a log that ends too early: got %v, want %v", err, ErrCorruption)
	}
	if err := fs.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, fs); !errors.Is(err, ErrCorruption) {
		t.Errorf("a log that is gone: got %v, want %v", err, ErrCorruption)
	}
}

func TestTornEndIsNoDamage(t *testing.T) {
	for _, tt := range []struct {
		name string
		tear func(log []byte, synced int) []byte
	}{
		{"none", func(log []byte, _ int) []byte { return log }},
		{"cut", func(log []byte, synced int) []byte { return append(log[:synced:synced], log[:10]...) }},
		{"zeros", func(log []byte, synced int) []byte { return append(log[:synced:synced], make([]byte, 3*blockLen)...) }},
		{"damaged", func(log []byte, synced int) []byte {
			return flip(append(log[:synced:synced], log[:blockLen]...), synced+1)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := killed(t, 1<<20)
			path, log, end := syncedLog(t, fs)
			rewrite(t, fs, path, tt.tear(log, int(end.length)))
			if err := tryOpen(t, fs); err != nil {
				t.Errorf("got %v, want an open store", err)
			}
		})
	}
}

// TestPromiseIsNeverTooMuch cuts the power at random moments, also while logs
// are rotated and take the place of older ones: an honest disk is never refused.
func TestPromiseIsNeverTooMuch(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs, cut := NewCrashableFS(), newPowerCut(rng)
		e, err := Open(Options{Dir: "d", MemTableBytes: 64 << 10, Deterministic: seed%2 == 0, FS: SyncHookFS(fs, func() { cut.sync(t, fs) })})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			mustSet(t, e, fmt.Sprint(i), strings.Repeat("v", rng.IntN(4<<10)), rng.IntN(3) == 0)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		for _, fs := range []*MemFS{cut.clone(), fs} {
			if fs == nil {
				continue // too few syncs in this run
			}
			e, err := Open(Options{Dir: "d", FS: fs})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// powerCut keeps what a disk would have after a power cut just before some sync.
// The engine syncs in several goroutines.
type powerCut struct {
	mu   sync.Mutex
	rng  *rand.Rand
	left int
	kept *MemFS
}

func newPowerCut(rng *rand.Rand) *powerCut {
	return &powerCut{left: 1 + rng.IntN(60), rng: rand.New(rand.NewPCG(rng.Uint64(), 3))}
}

func (c *powerCut) clone() *MemFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

// sync is called before each sync. A clone is made of two looks at the disk; other
// goroutines may write between them, until they wait for the one that is held here.
// What is mixed of two moments is no disk that ever was, and is made again.
func (c *powerCut) sync(t *testing.T, fs *MemFS) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left != 0 {
		return
	}
	percent := c.rng.IntN(101)
	for before := contents(t, fs); ; {
		c.kept = CrashClone(fs, percent, c.rng)
		after := contents(t, fs)
		if maps.Equal(before, after) {
			return
		}
		before = after
	}
}

// contents returns all that fs holds now, synced or not.
func contents(t *testing.T, fs *MemFS) map[string]string {
	t.Helper()
	now := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
	all := map[string]string{}
	names, err := now.List("d")
	if err != nil {
		t.Error(err)
	}
	for _, name := range names {
		if info, err := now.Stat(now.PathJoin("d", name)); err != nil || info.IsDir() {
			continue
		}
		b, err := readAll(now, now.PathJoin("d", name))
		if err != nil {
			t.Error(err)
		}
		all[name] = string(b)
	}
	return all
}

// fullFS has room for so many bytes.
type fullFS struct {
	vfs.FS
	room int
}

func (fs *fullFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return &fullFile{File: f, fs: fs}, err
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p[:min(len(p), f.fs.room)])
	if f.fs.room -= n; err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

// TestPartOfAWriteIsNotPromised: on a full disk a write leaves its beginning in
// the log, and Pebble syncs once more as it closes.
func TestPartOfAWriteIsNotPromised(t *testing.T) {
	mem := NewCrashableFS()
	fs, err := openSynced(&fullFS{FS: mem, room: 1 << 20}, "d", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("d/000009.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 1000)); err != nil || f.Sync() != nil {
		t.Fatal(err)
	}
	fs.FS.(*fullFS).room = 300
	if _, err := f.Write(make([]byte, 1000)); err != nil || !errors.Is(fs.failed(), syscall.ENOSPC) {
		t.Fatalf("wrote more than there was room for: %v; the store ends with %v", err, fs.failed())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if end, ok, err := readSynced(mem, "d"); err != nil || !ok || end.length != 1000 {
		t.Errorf("promised %d bytes, want 1000: %v %v", end.length, ok, err)
	}
}

// TestTornPromise wants the copy that is left, and nothing of a file that holds
// neither.
func TestTornPromise(t *testing.T) {
	fs := killed(t, 1<<20)
	_, _, end := syncedLog(t, fs)
	path := fs.PathJoin("d", syncedName)
	good, err := readAll(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	older := 0
	for _, at := range []int{1, syncedSlot + 1} {
		rewrite(t, fs, path, flip(good, at))
		got, ok, err := readSynced(fs, "d")
		if err != nil || !ok || got.log != end.log {
			t.Errorf("with one copy: got %v %v %v", got, ok, err)
		}
		if got.before(end) {
			older++
		}
	}
	if older != 1 {
		t.Errorf("%d copies are older than %v, want one", older, end)
	}
	for _, b := range [][]byte{nil, good[:3], flip(flip(good, 1), syncedSlot+1)} {
		rewrite(t, fs, path, b)
		if got, ok, err := readSynced(fs, "d"); ok || err != nil {
			t.Errorf("without a copy: got %v %v %v", got, ok, err)
		}
		if err := tryOpen(t, fs); err != nil {
			t.Errorf("without a copy: %v", err)
		}
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzDecodeLogEnd(f *testing.F) {
	f.Add(logEnd{log: 7, length: 1 << 40}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if end, ok := decodeLogEnd(b); ok && !bytes.Equal(end.encode(), b[:syncedLen]) {
			t.Errorf("%x reads as %v", b, end)
		}
	})
}

// FuzzFirstBadChunk wants no panic on any bytes, no damage in a whole log, and
// each flipped bit found.
func FuzzFirstBadChunk(f *testing.F) {
	_, log, end := syncedLog(f, killed(f, 256<<10))
	number := uint32(end.log)
	f.Add([]byte{}, uint32(0), byte(0))
	f.Add(log[:blockLen+100], uint32(blockLen+1), byte(1))
	trailer := binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0, 0, 0, firstShort}, number+1)
	f.Add(trailer, uint32(len(trailer)), byte(7))
	f.Fuzz(func(t *testing.T, b []byte, at uint32, bit byte) {
		if bad := firstBadChunk(b, number, int64(len(b))); bad >= int64(len(b)) && len(b) > 0 {
			t.Errorf("damage at %d of %d bytes", bad, len(b))
		}
		if bad := firstBadChunk(log, number, end.length); bad >= 0 {
			t.Fatalf("damage at %d of a whole log", bad)
		}
		i := int(at) % int(end.length)
		log[i] ^= 1 << (bit % 8)
		if bad := firstBadChunk(log, number, end.length); bad < 0 || bad > int64(i) {
			t.Errorf("a bit flipped at %d is found at %d", i, bad)
		}
		log[i] ^= 1 << (bit % 8)
	})
}

// TestWholeLogs holds the layout against Pebble's: logs of all lengths, open and
// closed, have no damage.
func TestWholeLogs(t *testing.T) {
	fs := NewCrashableFS()
	e, err := Open(Options{Dir: "d", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for size := range 400 {
		mustSet(t, e, "k", strings.Repeat("v", blockLen/2-size), true)
		_, log, end := syncedLog(t, fs)
		if bad := firstBadChunk(log, uint32(end.log), end.length); bad >= 0 || int(end.length) != len(log) {
			t.Fatalf("damage at %d of %d bytes, %d synced", bad, len(log), end.length)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	_, log, end := syncedLog(t, fs)
	if bad := firstBadChunk(log, uint32(end.log), end.length); bad >= 0 || int(end.length) != len(log) {
		t.Fatalf("closed: damage at %d of %d bytes, %d synced", bad, len(log), end.length)
	}
	if _, _, ok := wal.ParseLogFilename(end.log.String() + ".log"); !ok {
		t.Fatal("not the name of a log")
	}
}
