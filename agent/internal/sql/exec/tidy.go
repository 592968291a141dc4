package exec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// What a tidy holds back at most: what fits a screen or a test, so that what is large
// streams from its first rows on.
const (
	tidyRows  = 1000
	tidyBytes = 256 << 10
)

// tidy gives the rows of a small result in the order of their keys, where the statement
// asks for none: ranges are read side by side, and whose rows come first is chance.
type tidy struct {
	give  func(kv.Row) (bool, error)
	rows  []kv.Row
	bytes int64
	most  int64 // rows that are taken of the result; negative: all
	off   bool  // the result is not small
}

// tidied returns what holds the rows of s back; nil: they have their order, or are locked as
// they come.
func (r *Run) tidied(s *queryplan.Select, limit, offset int64, give func(kv.Row) (bool, error)) *tidy {
	if s.Ordered || len(s.Sort) > 0 || s.Lock != nil {
		return nil
	}
	t := &tidy{give: give, most: -1}
	if limit >= 0 && limit+offset >= 0 {
		t.most = limit + offset
	}
	return t
}

// add takes a row of the result.
func (t *tidy) add(row kv.Row) (more bool, err error) {
	if t.off {
		return t.give(row)
	}
	row.Key, row.Value = bytes.Clone(row.Key), bytes.Clone(row.Value)
	t.rows = append(t.rows, row)
	t.bytes += row.Size()
	if t.most >= 0 && int64(len(t.rows)) >= t.most {
		return false, nil
	}
	if len(t.rows) <= tidyRows && t.bytes <= tidyBytes {
		return true, nil
	}
	t.off = true
	return t.flush()
}

// end gives the rows that were held back.
func (t *tidy) end() error {
	sortByKey(t.rows)
	_, err := t.flush()
	return err
}

func (t *tidy) flush() (more bool, err error) {
	for _, row := range t.rows {
		if more, err = t.give(row); err != nil || !more {
			break
		}
	}
	t.rows = nil
	return more, err
}

func sortByKey(rows []kv.Row) {
	slices.SortStableFunc(rows, func(a, b kv.Row) int { return bytes.Compare(a.Key, b.Key) })
}

// tidyScan gives the engine the rows of a small table in the order of their keys, as tidy does:
// array_agg and its like are made in the order in which rows come.
type tidyScan struct {
	Rows
	begun bool
}

// Next returns the first rows together, or what came before there were too many of them.
func (t *tidyScan) Next(ctx context.Context) ([]kv.Row, error) {
	if t.begun {
		return t.Rows.Next(ctx)
	}
	t.begun = true
	var first []kv.Row
	var size int64
	for len(first) <= tidyRows && size <= tidyBytes {
		rows, err := t.Rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			sortByKey(first)
			break
		}
		if err != nil {
			return nil, err
		}
		first = append(first, rows...)
		for _, row := range rows {
			size += row.Size()
		}
	}
	return first, nil
}
