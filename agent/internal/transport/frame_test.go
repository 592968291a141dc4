package transport

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

func TestFrames(t *testing.T) {
	in := []frame{
		{kind: kindRaft, payload: []byte("batch")},
		{kind: kindRequest, id: 7, timeout: 3 * time.Second, name: "kv.read", payload: []byte("p")},
		{kind: kindRequest, id: 1 << 60, name: "m", payload: []byte{}},
		{kind: kindReply, id: 7, payload: []byte("r")},
		{kind: kindError, id: 8, name: "not-leader", message: "ask n3", payload: []byte{1}},
		{kind: kindCancel, id: 9},
		{kind: kindData, payload: bytes.Repeat([]byte("x"), 300)},
		{kind: kindEnd},
	}
	var b []byte
	for _, f := range in {
		n := len(b)
		if b = f.append(b); len(b)-n > f.size() {
			t.Errorf("%+v takes %d bytes, size says %d", f, len(b)-n, f.size())
		}
	}
	for _, want := range in {
		var got frame
		var err error
		if got, b, err = decodeFrame(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if len(b) != 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

func FuzzDecodeFrame(f *testing.F) {
	for _, fr := range []frame{
		{kind: kindRequest, id: 7, timeout: time.Second, name: "kv.read", payload: []byte("p")},
		{kind: kindError, id: 8, name: "c", message: "m", payload: []byte{1}},
		{kind: kindRaft, payload: []byte("batch")}, {kind: kindEnd}, {kind: kindCancel, id: 3},
	} {
		f.Add(fr.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, rest, err := decodeFrame(b)
		if err != nil {
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("no progress")
		}
		again, left, err := decodeFrame(fr.append(nil))
		if err != nil || len(left) != 0 || again.kind != fr.kind || again.id != fr.id || again.timeout != fr.timeout || again.name != fr.name || !bytes.Equal(again.payload, fr.payload) {
			t.Fatalf("%+v became %+v, %v", fr, again, err)
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	h := hello{supports: gate.Support{Min: 1, Max: 3}, cluster: testCluster, from: 1, to: 2, nonce: "n", standing: cluster.Standing{Now: cluster.Mark{Boot: 2, Round: 9}, Past: []cluster.Mark{{Boot: 1, Round: 8}}}}
	f.Add(h.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b, gate.Binary())
		if err != nil {
			return
		}
		if again, err := decodeHello(h.encode(), gate.Binary()); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}
