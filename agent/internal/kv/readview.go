package kv

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// ReadView gives fn the rows of req in [from, to) from one view of a range, as its
// leader reads them for a Server: in chunks of chunkRows. It is for the simulation,
// which has no goroutines to wait in. program, if it is not nil, takes the rows; fn is given
// what comes out.
func ReadView(h *store.ReadHandle, req *ScanRequest, from, to cluster.Key, chunkRows uint64, program Program, planted Planted, fn func(Row)) error {
	r := &scanRequest{
		Range: h.Descriptor.ID, TS: req.TS, Pool: req.Pool, Collection: req.Collection, From: from, To: to,
		Start: req.Start, End: req.End, Ordered: req.Ordered || req.Reverse, Reverse: req.Reverse,
		Limit: uint64(req.Limit), MaxRows: chunkRows, MaxBytes: maxChunkBytes,
	}
	if !r.within(&h.Descriptor) {
		return &store.RangeMismatchError{Descriptor: *h.Descriptor.Clone()}
	}
	rs := newRangeScan(h.Reader, r)
	rs.planted, rs.program = planted, program
	for more := true; more; {
		chunk := newChunkWriter(hlc.Timestamp(0), 256)
		var err error
		if more, err = rs.fill(chunk); err != nil {
			return fmt.Errorf("scan %s: %w", r.Range, err)
		}
		chunk.last = rs.last
		got, _, err := decodeScanChunk(chunk.finish(more))
		if err != nil {
			return err
		}
		for _, row := range got.Rows {
			fn(row)
		}
	}
	return nil
}
