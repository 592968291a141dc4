package exec

import (
	"bytes"
	"context"
	"errors"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// sieve is a program of which those rows come out for which a condition holds.
type sieve struct {
	env     queryplan.Env
	decoder *catalog.Decoder
	filter  queryplan.Expr
	rows    []kv.Row
	size    int
}

// Add takes a stored row, or an entry of an index.
func (s *sieve) Add(key, value []byte) error {
	if err := s.decoder.Decode(key, value, s.env.Row); err != nil {
		return err
	}
	if v, err := s.filter.Eval(&s.env); err != nil || !v.Bool() {
		return err
	}
	s.rows = append(s.rows, kv.Row{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	s.size += len(key) + len(value)
	return nil
}

// Full reports whether there is as much as a chunk should hold.
func (s *sieve) Full() bool { return s.size >= partialBytes }

// Flush gives the rows away.
func (s *sieve) Flush(emit func(key, value []byte)) {
	for _, r := range s.rows {
		emit(r.Key, r.Value)
	}
	s.rows, s.size = s.rows[:0], 0
}

// sieved is access whose rows have passed the filter of a Select where they are. fn is told
// what is left to be asked of a row.
func (r *Run) sieved(ctx context.Context, s *queryplan.Select, program []byte, fn func(kv.Row, queryplan.Expr) (bool, error)) error {
	some := false
	err := r.access(ctx, s.Table, &s.Access, kv.ScanRequest{Program: program}, func(row kv.Row) (bool, error) {
		some = true
		return fn(row, nil)
	})
	var failed *kv.ProgramError
	switch {
	case !errors.As(err, &failed):
		return err
	case !some:
		return r.access(ctx, s.Table, &s.Access, kv.ScanRequest{}, func(row kv.Row) (bool, error) { return fn(row, s.Filter) })
	}
	// Rows were given away: what is wrong with another is all that is left to say.
	row := make([]datum.Datum, len(s.Table.Columns))
	fault := r.access(ctx, s.Table, &s.Access, kv.ScanRequest{}, func(kr kv.Row) (bool, error) {
		if err := s.Decoder.Decode(kr.Key, kr.Value, row); err != nil {
			return false, err
		}
		_, err := r.accepts(s.Filter, row)
		return true, err
	})
	if fault != nil {
		return fault
	}
	return err
}
