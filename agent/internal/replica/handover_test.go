package replica

import (
	"reflect"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

func TestWordsAboutLocks(t *testing.T) {
	row := keys.Row(0, 7, 100, []byte("a"))
	m := LeaseMessage{Kind: Locks, From: 1, To: 2, Term: 9, Held: []HeldLock{
		{Record: keys.TxnRecord(row, cluster.NewTxnID(1, 2, 3)), Row: row, Strength: lock.Update},
		{Record: keys.TxnRecord(row, cluster.NewTxnID(4, 2, 3)), Row: keys.Row(0, 7, 100, []byte("b")), Strength: lock.KeyShare},
	}}
	b := EncodeLease(nil, 5, &m)
	id, got, rest, err := DecodeLease(append(b, "more"...))
	if err != nil || id != 5 || string(rest) != "more" || !reflect.DeepEqual(got, m) {
		t.Errorf("%v %+v, then %q, %v", id, got, rest, err)
	}
	for n := range b {
		if _, _, _, err := DecodeLease(b[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken for a word", n, len(b))
		}
	}
	m.Held[1].Strength = 5
	if _, _, _, err := DecodeLease(EncodeLease(nil, 5, &m)); err == nil {
		t.Error("a lock of strength 5 is taken")
	}
}
