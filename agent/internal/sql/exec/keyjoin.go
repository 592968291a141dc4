package exec

import (
	"context"
	"errors"
	"io"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// joins reports whether tables of the statement are joined by keys, once it was seen which.
// Scans that begin meanwhile wait.
func (s *Source) joins(ctx context.Context, specs []duck.ScanSpec) bool {
	s.planned.Do(func() {
		for i := range specs {
			if len(specs[i].Links) > 0 {
				if s.planJoins(ctx, specs) != nil { // then each scan stands for itself, and meets the error
					s.joined, s.ahead = nil, nil
				}
				return
			}
		}
	})
	return s.joined != nil
}

func (s *Source) planJoins(ctx context.Context, specs []duck.ScanSpec) error {
	conditions := func(slot int, t *catalog.Table) []queryplan.Expr {
		return queryplan.Conditions(t, constraints(specs[slot].Constraints))
	}
	wanted := func(slot int, _ *catalog.Table) []bool { return s.wanted(specs[slot].Table, specs[slot].Visible()) }
	var err error
	if s.joined, err = queryplan.NewKeyJoins(specs, conditions, wanted); err != nil {
		return err
	}
	s.ahead = map[int][]part{}
	for {
		slot, ok := s.joined.Next()
		if !ok {
			return nil
		}
		scan := s.tableScan(specs[slot].Table, specs[slot].Visible())
		parts, err := scan.readAhead(ctx, s.joined.Ways(slot))
		if errors.Is(err, errTooMany) {
			s.joined.Unread(slot)
			continue
		}
		if err != nil {
			return err
		}
		s.ahead[slot] = parts
		columns, err := scan.decoded(parts)
		if err != nil {
			return err
		}
		if err := s.joined.Read(slot, columns); err != nil {
			return err
		}
	}
}

// openJoined begins a scan whose table is joined to others, or they to it.
func (s *Source) openJoined(ctx context.Context, scan *tableScan, slot int) error {
	ways := s.joined.Ways(slot)
	if parts, ok := s.ahead[slot]; ok {
		scan.env = s.Run.Env.Copy()
		scan.env.Session = scan.session
		scan.parts = parts
		return nil
	}
	if scan.ways = ways; len(ways) == 0 {
		return nil
	}
	return scan.openNext(ctx)
}

var errTooMany = errors.New("more rows than are read ahead")

// part are the rows that were read in one way: others may be entries of an index, or not.
type part struct {
	way  queryplan.Access
	rows []kv.Row
}

// readAhead reads all rows, if these are few. They are held until the statement ends.
func (s *tableScan) readAhead(ctx context.Context, ways []queryplan.Access) (out []part, err error) {
	var held int64
	count := 0
	defer func() {
		s.Close()
		if err != nil {
			s.run.Memory.Shrink(held)
		}
	}()
	for s.ways = ways; len(s.ways) > 0; {
		out = append(out, part{way: s.ways[0]})
		if err := s.openNext(ctx); err != nil {
			return nil, err
		}
		for {
			rows, err := s.next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			if count += len(rows); len(s.keys) > queryplan.MaxJoined || count > queryplan.MaxJoined {
				return nil, errTooMany
			}
			for _, r := range rows {
				if err := s.run.Memory.Grow(r.Size()); err != nil {
					return nil, errTooMany
				}
				held += r.Size()
			}
			last := &out[len(out)-1]
			last.rows = append(last.rows, rows...)
		}
	}
	return out, nil
}

// decoded gives the different values of the columns of rows.
func (s *tableScan) decoded(parts []part) (func(index int, t datum.Type) ([]queryplan.Expr, error), error) {
	values := make([][]datum.Datum, len(s.table.Columns))
	for _, p := range parts {
		decoder := s.decoderOf(&p.way)
		for _, r := range p.rows {
			if err := decoder.Decode(r.Key, r.Value, s.row); err != nil {
				return nil, err
			}
			for i, v := range s.row {
				if s.wanted[i] && !v.Null {
					values[i] = append(values[i], v)
				}
			}
		}
	}
	return func(index int, t datum.Type) ([]queryplan.Expr, error) { return queryplan.Different(values[index], t) }, nil
}
