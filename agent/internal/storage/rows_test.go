package storage

import (
	"bytes"
	"errors"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// TestRowsAreOneView: all looks are into the engine as it was at the first, whatever they
// find; and what was written before the first is there.
func TestRowsAreOneView(t *testing.T) {
	e := open(t, NewCrashableFS())
	defer e.Close()
	row := func(pk string) []byte { return keys.Row(cluster.DefaultPool, 16, 5, []byte(pk)) }
	put := func(pk string) {
		t.Helper()
		b := e.NewWriteBatch()
		if err := errors.Join(b.Set(keys.Version(row(pk), 3), nil), b.Commit(false), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	rows := NewRows(e)
	put("a")
	find := func(pk string, want bool) {
		t.Helper()
		it, ok, err := rows.SeekGE(keys.Version(row(pk), 9))
		if err != nil || ok != want || ok && !bytes.Equal(it.Key(), keys.Version(row(pk), 3)) {
			t.Errorf("row %s: found %v, %v; want %v", pk, ok, err, want)
		}
	}
	find("a", true)
	put("b")
	find("b", false)
	find("none", false)
	find("a", true)
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	rows = NewRows(e)
	find("b", true)
	if err := errors.Join(rows.Close(), NewRows(e).Close()); err != nil {
		t.Fatal(err)
	}
}
