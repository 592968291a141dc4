package peers

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// MethodPing is the name of the call.
const MethodPing = "peer.ping"

// pingVersion is the version of a ping's bytes.
const pingVersion = 1

// ping is what both ends tell each other.
type ping struct {
	metaIndex uint64       // applied by the sender
	now       time.Time    // the sender's clock
	nonce     string       // of the sender's incarnation
	mark      cluster.Mark // of the sender's store
}

var errPing = errors.New("malformed ping")

func (p ping) encode() []byte {
	b := binary.AppendUvarint([]byte{pingVersion}, p.metaIndex)
	b = binary.BigEndian.AppendUint64(b, uint64(p.now.UnixNano())) //nolint:gosec // two's complement both ways
	b = binary.AppendUvarint(b, uint64(len(p.nonce)))
	return p.mark.Append(append(b, p.nonce...))
}

// decodePing ignores what a later version adds at the end.
func decodePing(b []byte) (ping, error) {
	if len(b) == 0 || b[0] < pingVersion {
		return ping{}, errPing
	}
	index, n := binary.Uvarint(b[1:])
	if n <= 0 || len(b) < 1+n+8 {
		return ping{}, errPing
	}
	b = b[1+n:]
	now := time.Unix(0, int64(binary.BigEndian.Uint64(b))) //nolint:gosec // two's complement both ways
	length, n := binary.Uvarint(b[8:])
	if n <= 0 || length > uint64(len(b)-8-n) {
		return ping{}, errPing
	}
	nonce := string(b[8+n : 8+n+int(length)]) //nolint:gosec // bounded above
	mark, _, ok := cluster.DecodeMark(b[8+n+int(length):])
	if !ok {
		return ping{}, errPing
	}
	return ping{metaIndex: index, now: now, nonce: nonce, mark: mark}, nil
}
