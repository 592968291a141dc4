package admin

import (
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

// TestMoveCAKeyEndsWhatWasCutShort repeats a move after which both nodes hold the
// key: the one that was to give it away still has to.
func TestMoveCAKeyEndsWhatWasCutShort(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		holders  []uint32
		from, to uint32
	}{{[]uint32{1}, 1, 2}, {[]uint32{1, 2}, 1, 2}, {[]uint32{2}, 2, 2}, {[]uint32{1, 2}, 2, 1}} {
		for id, st := range r.backend.statuses {
			st.Keys.Signs = ""
			for _, h := range c.holders {
				if h == uint32(id) {
					st.Keys.Signs = "5161"
				}
			}
		}
		got, err := r.client("admin").MoveCAKey(t.Context(), &adminpb.MoveCAKeyRequest{To: c.to})
		if err != nil || got.GetFrom() != c.from || got.GetTo() != c.to {
			t.Errorf("held by %v, to n%d: got %v %v, want it from n%d", c.holders, c.to, got, err, c.from)
		}
	}
}
