package sql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestTemporaryCorpus: temporary objects give what PostgreSQL 15 gave when
// testdata/temporary.txt was made.
func TestTemporaryCorpus(t *testing.T) {
	if n := newFixture(t, startDuck(t)).open().corpus("testdata/temporary.txt"); n < 120 {
		t.Errorf("the corpus has %d statements only", n)
	}
}

// temporarySchemas are those that there are.
func (f *fixture) temporarySchemas() (out []cluster.ObjectID) {
	for _, o := range f.meta.View().Objects {
		if o.Temporary != nil {
			out = append(out, o.ID)
		}
	}
	return out
}

// TestTemporaryIsOfItsSession: others neither see nor reach it, nor does anything stay of it.
func TestTemporaryIsOfItsSession(t *testing.T) {
	f := newFixture(t, startDuck(t))
	c, other := f.open(), f.open()
	c.want("CREATE TABLE", "create temp table t (id serial primary key, s text)")
	c.want("INSERT 0 1", "insert into t (s) values ('mine')")
	other.want(`42P01 relation "t" does not exist`, "select * from t")
	name := f.meta.View().Objects[f.temporarySchemas()[0]].Name
	other.want(`42P01 relation "`+name+`.t" does not exist`, "select * from "+name+".t")
	c.want("1|mine\nSELECT 1", "select * from "+name+".t")
	other.want("CREATE TABLE", "create temp table t (other int primary key)")
	other.want("INSERT 0 1", "insert into t values (7)")
	c.want("1|mine\nSELECT 1", "select * from t")
	away := map[cluster.NodeID]time.Time{}
	f.server.sweepTemporary(t.Context(), away, time.Now())
	c.want("1|mine\nSELECT 1", "select * from t")
	other.session.Close()
	f.server.sweepTemporary(t.Context(), away, time.Now())
	if left := f.temporarySchemas(); len(left) != 1 {
		t.Errorf("of two sessions one is gone, and %d have temporary objects", len(left))
	}
	c.want("1|mine\nSELECT 1", "select * from t")
	c.session.temp.Store(0) // as if the node had been started again
	f.server.sweepTemporary(t.Context(), away, time.Now())
	for _, o := range f.meta.View().Objects {
		if o.Temporary != nil || strings.HasPrefix(o.Name, "t") && o.Kind == cluster.KindTable {
			t.Errorf("%s %s is left over", o.Kind, o.Name)
		}
	}
}

// TestTemporaryOfNodesThatAreGone: the node that leads the meta range drops it after a while.
func TestTemporaryOfNodesThatAreGone(t *testing.T) {
	if err := temporaryStays(t, Planted{}); err != nil {
		t.Error(err)
	}
}

func temporaryStays(t *testing.T, faults Planted) error {
	f := newFixture(t, nil)
	f.server.cfg.Planted = faults
	f.server.cfg.Node = 9 // which nobody knows
	c := f.open()
	c.want("CREATE TABLE", "create temp table t (a int)")
	f.server.cfg.Node = 1
	away, now := map[cluster.NodeID]time.Time{}, time.Now()
	c.session.temp.Store(0)
	for _, after := range []time.Duration{0, goneAfter - time.Second} {
		f.server.sweepTemporary(t.Context(), away, now.Add(after))
		if len(f.temporarySchemas()) != 1 {
			return fmt.Errorf("dropped after %s", after)
		}
	}
	f.server.sweepTemporary(t.Context(), away, now.Add(goneAfter))
	if left := f.temporarySchemas(); len(left) != 0 {
		return fmt.Errorf("%d schemas are left over", len(left))
	}
	return nil
}

// TestTemporaryTakesThePrivilege: TEMPORARY on the database.
func TestTemporaryTakesThePrivilege(t *testing.T) {
	f := newFixture(t, startDuck(t))
	f.open().want("REVOKE", "revoke temporary on database nodedb from public")
	bob := f.open(func(o *SessionOptions) { o.User = "bob" })
	bob.want(`42501 permission denied to create temporary tables in database "nodedb"`, "create temp table t (a int)")
	f.open().want("GRANT", "grant temporary on database nodedb to bob")
	bob.want("CREATE TABLE", "create temp table t (a int)")
	bob.want("INSERT 0 1", "insert into t values (1)")
	bob.want("SELECT 1", "create temp table u as select * from t")
	bob.want("DISCARD ALL", "discard all")
	bob.want(`42P01 relation "t" does not exist`, "select * from t")
}
