package datastate

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// A stored version is: format, flags, length of the header's fields, fields, value.
// A flag changes what the version means, so a reader must know all of them; a field
// says more about it, and one that a reader does not know is skipped.
const (
	versionFormat byte = 1
	flagTombstone byte = 1

	// fieldWriter holds the writer of the commit as a uvarint.
	fieldWriter = 1
)

// Version is one version of a row; the zero value: there is none.
type Version struct {
	TS     hlc.Timestamp
	Value  []byte
	Live   bool             // it is no tombstone
	Writer cluster.WriterID // whose commit made it
	size   int64            // of key and stored value
}

// Weight is about how many bytes a version takes that a leader remembers.
func (v *Version) Weight() int { return 64 + len(v.Value) }

// encodeVersion encodes what op stores.
func encodeVersion(op *Op, writer cluster.WriterID) []byte {
	v := append(make([]byte, 0, 3+2+binary.MaxVarintLen32+len(op.Value)), versionFormat, 0, 0)
	if writer != 0 {
		v = append(v, fieldWriter, 0)
		v = binary.AppendUvarint(v, uint64(writer))
		v[4] = byte(len(v) - 5)
	}
	v = op.appendFields(v)
	v[2] = byte(len(v) - 3) // a few bytes each
	if op.Kind == Delete {
		v[1] = flagTombstone
		return v
	}
	return append(v, op.Value...)
}

// decodeVersion splits a stored version, whose value it aliases. What only a newer
// binary can have written is gate.ErrNewer.
func decodeVersion(b []byte) (v Version, err error) {
	if len(b) < 3 {
		return v, damaged("it has %d bytes", len(b))
	}
	if b[0] != versionFormat {
		return v, gate.Newer("a stored row version of format %d", b[0])
	}
	if unknown := b[1] &^ flagTombstone; unknown != 0 {
		return v, gate.Newer("a stored row version with the flag %#02x", unknown&-unknown)
	}
	n, width := binary.Uvarint(b[2:])
	if width <= 0 || n > uint64(len(b)-2-width) {
		return v, damaged("its header ends early")
	}
	fields := b[2+width:]
	v.Live, v.Value = b[1]&flagTombstone == 0, fields[n:]
	return v, v.fields(fields[:n])
}

func (v *Version) fields(b []byte) error {
	d := decode(b)
	for d.Len() > 0 {
		tag, body := d.Uvarint(), d.Bytes()
		if d.Err() != nil {
			return damaged("a field ends early")
		}
		if tag != fieldWriter {
			continue // of a newer version: it can be done without
		}
		n, width := binary.Uvarint(body)
		if width <= 0 || width != len(body) || n > math.MaxUint32 {
			return damaged("its writer is % x", body)
		}
		v.Writer = cluster.WriterID(n)
	}
	return nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: stored row version: %s", storage.ErrCorruption, fmt.Sprintf(format, args...))
}
