package duck

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

const (
	// aheadMost is how long a statement may have taken that is run again for the rows in
	// front of the one that failed.
	aheadMost = 200 * time.Millisecond
	// aheadRows is how many rows are looked at: DuckDB computes no more at once.
	aheadRows = 2048
)

// isData reports whether an error is about a value in some row.
func isData(err error) bool {
	var e *Error
	return errors.As(err, &e) && strings.HasPrefix(e.Code, "22")
}

// ahead emits the rows in front of the one that a statement fails at: DuckDB computes many at
// once, and gives none of them. It finds how many there are by running it for fewer.
func (p *prepared) ahead(ctx context.Context, x Execution, s *frame.Statement, emit func(row []datum.Datum) error) error {
	first := func(n int, emit func(row []datum.Datum) error) error {
		fewer := *s
		var err error
		if fewer.SQL, err = p.rewrite.SQLOf(p.names(), n); err == nil {
			_, err = p.execute(ctx, x, &fewer, emit)
		}
		return err
	}
	good, bad := 0, 0
	for next := 1; next <= aheadRows && (bad == 0 || bad-good > 1); {
		err := first(next, func([]datum.Datum) error { return nil })
		switch {
		case err == nil:
			good = next
		case isData(err):
			bad = next
		default:
			return err
		}
		if next = 2 * good; bad > 0 {
			next = good + (bad-good)/2
		}
	}
	if good == 0 || bad == 0 {
		return nil
	}
	return first(good, emit)
}
