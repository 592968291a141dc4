package queryplan

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// randomUUID makes a version 4 UUID.
func randomUUID() datum.Datum {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return datum.MakeString(datum.UUID, string(b[:]))
}

// uuidSteps is into how many steps version 7 cuts a millisecond: the 12 bits of rand_a, as
// RFC 9562 (6.2, method 3) and PostgreSQL 18 use them.
const uuidSteps = 1 << 12

// lastUUID is the time of the latest version 7 UUID of this process, in steps since 1970.
var lastUUID atomic.Int64

// timedUUID makes a version 7 UUID, of time now or, so that each one of a process is
// greater than those before, of the first step behind the latest.
func timedUUID(now time.Time) datum.Datum {
	step := now.UnixMicro() * uuidSteps / 1000
	for {
		last := lastUUID.Load()
		step = max(step, last+1)
		if lastUUID.CompareAndSwap(last, step) {
			break
		}
	}
	var b [16]byte
	_, _ = rand.Read(b[8:]) // never fails
	binary.BigEndian.PutUint64(b[:8], uint64(step/uuidSteps)<<16|7<<12|uint64(step%uuidSteps))
	b[8] = b[8]&0x3f | 0x80
	return datum.MakeString(datum.UUID, string(b[:]))
}
