package kv

import (
	"bytes"
	"container/heap"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// rangeScan reads the rows of one collection from a view of one range, chunk by
// chunk.
type rangeScan struct {
	rows datastate.Scanner
	req  *scanRequest
	left int64 // rows; negative: no limit
	last *position
	// program takes the rows; nil: they go into the chunks.
	program Program

	planted Planted

	vshard cluster.VShard // of an unordered scan: the one under way
	end    cluster.VShard // the first that is not touched
	merge  *vshardMerge   // of an ordered scan
}

func newRangeScan(r storage.Reader, req *scanRequest) *rangeScan {
	s := &rangeScan{rows: datastate.Scanner{Reader: r}, req: req, left: -1, last: req.After, vshard: req.From.VShard(), end: req.To.NextVShard()}
	if req.Limit > 0 {
		s.left = int64(min(req.Limit, 1<<62))
	}
	if req.After != nil && !req.Ordered {
		s.vshard = max(s.vshard, req.After.VShard)
	}
	return s
}

// fill adds rows to chunk until it is full or the scan ends. Nothing of the view is open
// after it.
func (s *rangeScan) fill(chunk *chunkWriter) (more bool, err error) {
	defer func() {
		if e := s.rows.Close(); err == nil {
			err = e
		}
	}()
	switch {
	case s.program != nil:
		return s.fillProgram(chunk)
	case s.req.Ordered:
		return s.fillOrdered(chunk)
	}
	for ; s.vshard < s.end; s.vshard++ {
		rows, size := s.room(chunk)
		if rows == 0 || size <= 0 {
			return s.left != 0, nil
		}
		resume, err := s.rows.Scan(s.span(s.vshard), s.req.TS, datastate.ScanOptions{Limit: rows, MaxBytes: size},
			func(row, value []byte, version hlc.Timestamp) bool {
				s.add(chunk, s.vshard, keys.Primary(row), value, version)
				return true
			})
		if err != nil {
			return false, err
		}
		if resume != nil {
			return s.left != 0, nil
		}
	}
	return false, nil
}

// room returns how many rows and bytes chunk may take.
func (s *rangeScan) room(chunk *chunkWriter) (rows, size int64) {
	rows = int64(s.req.MaxRows) - int64(chunk.rows)
	if s.left >= 0 {
		rows = min(rows, s.left)
	}
	return max(rows, 0), int64(s.req.MaxBytes) - int64(chunk.size())
}

func (s *rangeScan) add(chunk *chunkWriter, v cluster.VShard, key, value []byte, version hlc.Timestamp) {
	chunk.add(key, value, version)
	chunk.read.note(key, value)
	if s.left > 0 {
		s.left--
	}
	s.passed(v, key)
}

// passed notes that all rows up to one have been read.
func (s *rangeScan) passed(v cluster.VShard, key []byte) {
	if s.last == nil || s.last == s.req.After {
		s.last = &position{}
	}
	s.last.VShard = v
	s.last.Key = append(s.last.Key[:0], key...)
}

// span returns what is left to read of vshard v, between the bounds of the request.
func (s *rangeScan) span(v cluster.VShard) keys.Span {
	span := keys.CollectionSpan(s.req.Pool, v, s.req.Collection)
	if len(s.req.Start) > 0 {
		span.Start = keys.Row(s.req.Pool, v, s.req.Collection, s.req.Start)
	}
	if len(s.req.End) > 0 {
		span.End = keys.Row(s.req.Pool, v, s.req.Collection, s.req.End)
	}
	// The neighbour's rows of a vshard that is divided may be in the same store.
	if !s.planted.wideScan() {
		span = clip(span, keys.DataSpan(s.req.Pool, s.req.From, s.req.To))
	}
	if s.last == nil || !s.req.Ordered && s.last.VShard != v {
		return span
	}
	// Row keys are prefix-free: all versions of the last row, and no other row,
	// lie between it and its RowEnd.
	row := keys.Row(s.req.Pool, v, s.req.Collection, s.last.Key)
	if s.req.Reverse {
		return clip(span, keys.Span{Start: span.Start, End: row})
	}
	return clip(span, keys.Span{Start: keys.RowEnd(row), End: span.End})
}

// clip returns the part of s that lies in within.
func clip(s, within keys.Span) keys.Span {
	if bytes.Compare(s.Start, within.Start) < 0 {
		s.Start = within.Start
	}
	if bytes.Compare(s.End, within.End) > 0 {
		s.End = within.End
	}
	return s
}

// fillOrdered merges the vshards by primary key.
func (s *rangeScan) fillOrdered(chunk *chunkWriter) (more bool, err error) {
	if s.merge == nil {
		if s.merge, err = s.newMerge(); err != nil {
			return false, err
		}
	}
	for s.merge.Len() > 0 {
		rows, size := s.room(chunk)
		if rows == 0 || size <= 0 {
			return s.left != 0, nil
		}
		src := s.merge.sources[0]
		row := src.rows[0]
		s.add(chunk, src.vshard, row.Key, row.Value, row.Version)
		if src.rows = src.rows[1:]; len(src.rows) == 0 {
			if err := s.refill(src); err != nil {
				return false, err
			}
		}
		if len(src.rows) == 0 {
			heap.Pop(s.merge)
		} else {
			heap.Fix(s.merge, 0)
		}
	}
	return false, nil
}

// vshardMerge is a heap of vshards by their next primary key.
type vshardMerge struct {
	sources []*vshardSource
	reverse bool
}

// vshardSource reads one vshard in key order, a few rows ahead.
type vshardSource struct {
	vshard cluster.VShard
	span   keys.Span
	resume []byte
	done   bool
	batch  int64
	rows   []Row
}

func (m *vshardMerge) Len() int { return len(m.sources) }
func (m *vshardMerge) Less(i, j int) bool {
	c := bytes.Compare(m.sources[i].rows[0].Key, m.sources[j].rows[0].Key)
	return c < 0 != m.reverse && c != 0
}
func (m *vshardMerge) Swap(i, j int) { m.sources[i], m.sources[j] = m.sources[j], m.sources[i] }
func (m *vshardMerge) Push(any)      {} // never: sources only leave
func (m *vshardMerge) Pop() any {
	n := len(m.sources) - 1
	src := m.sources[n]
	m.sources = m.sources[:n]
	return src
}

// Rows read ahead of each vshard: few at first, for a LIMIT; more as they go.
const (
	firstBatch = 8
	lastBatch  = 256
	batchBytes = 64 << 10
)

func (s *rangeScan) newMerge() (*vshardMerge, error) {
	m := &vshardMerge{reverse: s.req.Reverse}
	for v := s.vshard; v < s.end; v++ {
		src := &vshardSource{vshard: v, span: s.span(v), batch: firstBatch}
		if err := s.refill(src); err != nil {
			return nil, err
		}
		if len(src.rows) > 0 {
			m.sources = append(m.sources, src)
		}
	}
	heap.Init(m)
	return m, nil
}

// refill reads the next rows of src, if there are any.
func (s *rangeScan) refill(src *vshardSource) error {
	src.rows = src.rows[:0]
	if src.done {
		return nil
	}
	limit := src.batch
	if s.left > 0 {
		limit = min(limit, s.left)
	}
	opts := datastate.ScanOptions{Limit: limit, MaxBytes: batchBytes, Reverse: s.req.Reverse, Resume: src.resume}
	resume, err := s.rows.Scan(src.span, s.req.TS, opts, func(row, value []byte, version hlc.Timestamp) bool {
		src.rows = append(src.rows, Row{Key: bytes.Clone(keys.Primary(row)), Value: bytes.Clone(value), Version: version})
		return true
	})
	src.resume, src.done = resume, resume == nil
	src.batch = min(src.batch*2, lastBatch)
	return err
}
