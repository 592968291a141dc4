package kv

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// splitPieceError says that the range of a piece was split.
type splitPieceError struct{ at cluster.Key }

func (e *splitPieceError) Error() string {
	return fmt.Sprintf("the range was split at %s", e.at)
}

// fork goes on with an ordered piece whose range was split: it reads both halves,
// each from where the piece stands, and merges them by key.
func (r *pieceReader) fork(at cluster.Key) error {
	it := r.it
	m := &pieceMerge{reverse: it.req.Reverse}
	for _, p := range []piece{{r.piece.from, at}, {at, r.piece.to}} {
		src := &pieceSource{ch: make(chan rowBatch, 1)}
		m.inputs = append(m.inputs, src)
		half := &pieceReader{it: it, piece: p, out: src.ch, left: r.left, transactions: resolving{db: it.db, passed: slices.Clone(r.transactions.passed)}}
		if r.after != nil {
			half.after = &position{VShard: r.after.VShard, Key: append([]byte(nil), r.after.Key...)}
		}
		it.wg.Go(func() {
			defer close(src.ch)
			if err := half.run(); err != nil {
				it.cancel(err)
			}
		})
	}
	left := r.left
	for it.req.Limit == 0 || left > 0 {
		rows, err := it.nextOf(it.ctx, m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if it.req.Limit > 0 {
			rows = rows[:min(int64(len(rows)), left)]
			left -= int64(len(rows))
		}
		if err := it.send(r.out, rowBatch{rows: rows}); err != nil {
			return err
		}
	}
	return nil
}
