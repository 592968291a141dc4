package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestLowerCeiling: what a store holds decides how far its clock may be lowered, and
// the node then begins there.
func TestLowerCeiling(t *testing.T) {
	f := newCoreFixture(t)
	o := f.propose(f.id(1), putOp("a", "1"))
	f.must(o.Err)
	f.must(f.e.Close())
	open := func() *storage.Engine {
		e, err := storage.Open(storage.Options{Dir: "d", FS: f.fs})
		f.must(err)
		return e
	}
	e := open()
	found, err := ReadTimes(e, replica.Planted{})
	f.must(err)
	if found.Newest.TS != o.TS || found.Ceiling <= o.TS {
		t.Fatalf("got %+v, want the command's %s below the ceiling", found, o.TS)
	}
	var above *AboveError
	if _, err := LowerCeiling(e, o.TS.Time(), replica.Planted{}); !errors.As(err, &above) || !strings.Contains(above.Error(), above.Times.Newest.Where) {
		t.Errorf("lowered to the newest entry: %v, want an *AboveError that says where it is", err)
	}
	if c, err := Ceiling(e); err != nil || c != found.Ceiling {
		t.Errorf("a refusal left %s (%v), want %s", c, err, found.Ceiling)
	}
	to := o.TS.Time().Add(time.Millisecond)
	_, err = LowerCeiling(e, to, replica.Planted{})
	f.must(err)
	if c, err := Ceiling(e); err != nil || c != hlc.New(to) {
		t.Errorf("got %s (%v), want %s", c, err, hlc.New(to))
	}
	_, err = LowerCeiling(e, to.Add(time.Hour), replica.Planted{})
	f.must(err)
	if c, _ := Ceiling(e); c != hlc.New(to) {
		t.Errorf("a time above the ceiling raised it to %s", c)
	}
	f.must(e.Close())
	f.open()
	if now := f.c.cfg.Clock.Last(); now != hlc.New(to) {
		t.Errorf("the node begins at %s, want %s", now, hlc.New(to))
	}
}

// TestTimesOfVersions: a version that no replica's log or state speaks of is found,
// in the memtable and in tables.
func TestTimesOfVersions(t *testing.T) {
	f := newCoreFixture(t)
	f.must(f.propose(f.id(1), putOp("a", "1")).Err)
	late := hlc.New(f.now.Add(time.Hour))
	b := f.e.NewBatch()
	f.must(b.Set(keys.Version(putOp("b", "").Row, late), []byte{0}))
	f.must(b.Commit(true))
	f.must(b.Close())
	for _, where := range []string{"memtable", "table"} {
		found, err := ReadTimes(f.e, replica.Planted{})
		f.must(err)
		if found.Newest.TS != late {
			t.Errorf("in a %s: the newest is %+v, want %s", where, found.Newest, late)
		}
		f.must(f.e.Flush())
	}
}
