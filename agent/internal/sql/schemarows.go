package sql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

const (
	// schemaRows is how many rows a schema change works on at once, as far as they are of
	// schemaBytes.
	schemaRows, schemaBytes = 4000, 4 << 20
)

// sweep reads all rows in a place, in an order in which whoever comes later goes on: vshard
// by vshard, and in each by key. A row that is written meanwhile may be left out.
type sweep struct {
	server *Server
	place  cluster.Place
	name   string
}

// spot is where a sweep stands: what it reads next. The zero spot is the beginning.
type spot struct {
	vshard cluster.VShard
	key    []byte // the first; nil: of the vshard
}

// encode makes a cursor of a spot, as an operation keeps it.
func (p spot) encode() []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(p.vshard)), p.key...) //nolint:gosec // there are 1,024
}

func decodeSpot(cursor []byte) (p spot, err error) {
	if len(cursor) == 0 {
		return p, nil
	}
	if len(cursor) < 2 || binary.BigEndian.Uint16(cursor) >= cluster.VShards {
		return p, fmt.Errorf("an operation has a malformed cursor of %d bytes", len(cursor))
	}
	p.vshard = cluster.VShard(binary.BigEndian.Uint16(cursor))
	if len(cursor) > 2 {
		p.key = cursor[2:]
	}
	return p, nil
}

// done is how many percent of the table are before the spot: the rows of all vshards are
// about as many.
func (p spot) done() float64 { return 100 * float64(p.vshard) / cluster.VShards }

// swept are rows as they were at one time, and what comes after them.
type swept struct {
	rows    []kv.Row
	ts      hlc.Timestamp
	next    spot
	more    bool
	release func() // ends that what can be read at ts is kept
}

// some reads the next rows.
func (s *sweep) some(ctx context.Context, from spot) (out swept, err error) {
	if out.ts, err = s.server.cfg.DB.Fresh(ctx); err != nil {
		return out, fmt.Errorf("take a time to read at: %w", err)
	}
	out.release = s.server.cfg.DB.Hold(out.ts)
	defer func() {
		if err != nil {
			out.release()
		}
	}()
	if from.vshard == 0 && from.key == nil {
		// Most tables are small: to read one vshard after the other takes longer.
		all, err := s.read(ctx, &out, kv.ScanRequest{Limit: int64(s.server.schemaRows)})
		if all || err != nil {
			return out, err
		}
		out.rows = nil
	}
	out.next, out.more = from, true
	size := 0
	for out.more && len(out.rows) < s.server.schemaRows && size < schemaBytes {
		before := len(out.rows)
		only := out.next.vshard
		all, err := s.read(ctx, &out, kv.ScanRequest{Only: &only, Start: out.next.key, Ordered: true, Limit: int64(s.server.schemaRows - before)})
		if err != nil {
			return out, err
		}
		for i := range out.rows[before:] {
			size += int(out.rows[before+i].Size())
		}
		if all {
			out.next = spot{vshard: out.next.vshard + 1}
			out.more = out.next.vshard < cluster.VShards
			continue
		}
		last := out.rows[len(out.rows)-1].Key
		out.next.key = append(append([]byte(nil), last...), 0)
	}
	return out, nil
}

// work does work with the next rows.
func (s *sweep) work(ctx context.Context, from spot, work rowWork) (swept, *cluster.Failure, error) {
	next, err := s.some(ctx, from)
	if err != nil {
		return next, nil, err
	}
	defer next.release()
	failure, err := work.some(ctx, next.rows, next.ts)
	return next, failure, err
}

// breath is how a schema change leaves room for others: where it has to wait for them, it
// rests as long as it has worked.
type breath struct{ best time.Duration } // that a row took

// take rests after rows that took so long.
func (b *breath) take(ctx context.Context, took time.Duration, rows int) error {
	each := took / time.Duration(max(rows, 1))
	if b.best == 0 || each < b.best {
		b.best = each
	}
	rest := took / 4
	if each > 2*b.best {
		rest = took
	}
	select {
	case <-time.After(rest):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read reads rows until the limit of the request, or schemaBytes; all says that there are no
// more.
func (s *sweep) read(ctx context.Context, out *swept, req kv.ScanRequest) (all bool, err error) {
	req.TS, req.Pool, req.Collection = out.ts, s.place.Pool, s.place.ID
	it, err := s.server.cfg.DB.Scan(ctx, req)
	if err != nil {
		return false, fmt.Errorf("read rows of %q: %w", s.name, err)
	}
	defer it.Close()
	for n, size := int64(0), int64(0); ; {
		batch, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return n < req.Limit, nil
		}
		if err != nil {
			return false, fmt.Errorf("read rows of %q: %w", s.name, err)
		}
		for i := range batch {
			n, size = n+1, size+batch[i].Size()
		}
		if out.rows = append(out.rows, batch...); size >= schemaBytes || n >= req.Limit {
			return false, nil
		}
	}
}
