package datastate

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

func TestVersions(t *testing.T) {
	for _, writer := range []cluster.WriterID{0, 1, cluster.FirstUser, 300, math.MaxUint32} {
		for _, op := range []Op{{Kind: Put, Value: []byte("value")}, {Kind: Put}, {Kind: Delete}} {
			v, err := decodeVersion(encodeVersion(&op, writer))
			if err != nil || v.Writer != writer || v.Live != (op.Kind == Put) || !bytes.Equal(v.Value, op.Value) {
				t.Errorf("%+v by %d: %+v, %v", op, writer, v, err)
			}
		}
	}
}

// TestVersionsOfANewerBinary: a field that is not known is skipped, whatever it
// holds; a flag that is not known says what is wrong, and is no damage.
func TestVersionsOfANewerBinary(t *testing.T) {
	with := func(flags byte, fields string, value string) []byte {
		return append(append([]byte{versionFormat, flags, byte(len(fields))}, fields...), value...)
	}
	v, err := decodeVersion(with(0, "\x63\x03new\x01\x01\x20\x80\x01\x00", "value"))
	if err != nil || v.Writer != 32 || !v.Live || string(v.Value) != "value" {
		t.Errorf("with unknown fields: %+v, %v", v, err)
	}
	for name, b := range map[string][]byte{
		"the flag 0x02": with(flagTombstone|2|8, "", "value"),
		"format 2":      {2, 0, 0},
	} {
		if _, err := decodeVersion(b); !errors.Is(err, gate.ErrNewer) || errors.Is(err, storage.ErrCorruption) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"nothing":                 {},
		"no header":               {versionFormat, 0},
		"a header that is cut":    {versionFormat, 0, 9, 1, 1},
		"a field that is cut":     with(0, "\x01\x09\x20", "value"),
		"a writer of no bytes":    with(0, "\x01\x00", "value"),
		"a writer of two numbers": with(0, "\x01\x02\x20\x20", "value"),
		"a writer beyond 32 bits": with(0, "\x01\x06\xff\xff\xff\xff\xff\x01", "value"),
	} {
		if v, err := decodeVersion(b); !errors.Is(err, storage.ErrCorruption) {
			t.Errorf("%s: %+v, %v; want %v", name, v, err, storage.ErrCorruption)
		}
	}
}

// TestTheWriterIsStored: a command's writer goes into each of its versions,
// deletions too.
func TestTheWriterIsStored(t *testing.T) {
	e, m := open(t), New()
	b := e.NewBatch()
	defer b.Close()
	put, gone := testRow(16, 1), testRow(16, 2)
	for ts, batch := range []Batch{
		{Writer: 21, Ops: []Op{{Row: put, Kind: Put, Value: []byte("v")}, {Row: gone, Kind: Put}}},
		{Writer: 22, Ops: []Op{{Row: gone, Kind: Delete}}},
	} {
		if _, _, err := evaluate(m, b, hlc.Timestamp(ts+1), EncodeBatch(&batch)); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		row    []byte
		at     hlc.Timestamp
		writer cluster.WriterID
		live   bool
	}{{put, hlc.Max, 21, true}, {gone, 1, 21, true}, {gone, hlc.Max, 22, false}, {testRow(16, 3), hlc.Max, 0, false}} {
		v, err := Read(b, x.row, x.at)
		if err != nil || v.Writer != x.writer || v.Live != x.live {
			t.Errorf("row % x at %s: %+v, %v; want writer %d, live %v", x.row, x.at, v, err, x.writer, x.live)
		}
	}
}
