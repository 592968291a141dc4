package peers

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// MethodPing is the name of the call.
const MethodPing = "peer.ping"

// pingVersion is the version of a ping's bytes.
const pingVersion = 1

// ping is what both ends tell each other.
type ping struct {
	metaIndex uint64       // applied by the sender
	wall      time.Time    // the clock of the sender's machine
	time      time.Time    // what the sender goes by
	belief    hlc.Belief   // what that rests on
	nonce     string       // of the sender's incarnation
	mark      cluster.Mark // of the sender's store
}

var errPing = errors.New("malformed ping")

func (p ping) encode() []byte {
	b := binary.AppendUvarint([]byte{pingVersion}, p.metaIndex)
	b = binary.BigEndian.AppendUint64(b, uint64(p.wall.UnixNano())) //nolint:gosec // two's complement both ways
	b = binary.BigEndian.AppendUint64(b, uint64(p.time.UnixNano())) //nolint:gosec // likewise
	b = append(b, byte(p.belief))
	b = binary.AppendUvarint(b, uint64(len(p.nonce)))
	return p.mark.Append(append(b, p.nonce...))
}

// decodePing ignores what a later version adds at the end.
func decodePing(b []byte) (ping, error) {
	if len(b) == 0 || b[0] < pingVersion {
		return ping{}, errPing
	}
	const clocks = 8 + 8 + 1
	index, n := binary.Uvarint(b[1:])
	if n <= 0 || len(b) < 1+n+clocks {
		return ping{}, errPing
	}
	b = b[1+n:]
	p := ping{metaIndex: index, belief: hlc.Belief(b[16])}
	p.wall = time.Unix(0, int64(binary.BigEndian.Uint64(b)))     //nolint:gosec // two's complement both ways
	p.time = time.Unix(0, int64(binary.BigEndian.Uint64(b[8:]))) //nolint:gosec // likewise
	b = b[clocks:]
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) || p.belief > hlc.Sure {
		return ping{}, errPing
	}
	p.nonce = string(b[n : n+int(length)]) //nolint:gosec // bounded above
	var ok bool
	if p.mark, _, ok = cluster.DecodeMark(b[n+int(length):]); !ok {
		return ping{}, errPing
	}
	return p, nil
}
