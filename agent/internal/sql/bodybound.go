package sql

import (
	"context"
	"fmt"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// bound is a statement of a body, or an expression as SELECT, whose parameters are variables.
type bound struct {
	text     string
	query    *syntax.Query
	fields   []boundField
	prepared *Prepared
	// named says that what it names was found for it, whatever the role may use: names stand
	// in it as they are now.
	named bool
	// chosen, if not nil, is told which functions calls mean.
	chosen func(*pg.FuncCall, *queryplan.Routine)
}

// boundField is what a parameter stands for: a variable, or the column-th field of the
// record row, or, if column is one of the below, that as a whole.
type boundField struct {
	row      string // "$" of $n; argumentRow in a function in SQL
	column   int    // -1 of a variable
	variable string
	typ      datum.Type
	shape    *shape // of the record
}

// What a boundField gives of a record as a whole.
const (
	asText = -2 - iota
	asJSON
	asJSONB
)

func (b *bound) prepare(ctx context.Context, s *Session) error {
	p := &Prepared{statement: &syntax.Statement{Text: b.text, Node: b.query}, named: b.named, chosen: b.chosen}
	for _, f := range b.fields {
		p.announced = append(p.announced, f.typ)
	}
	if err := s.prepareQuery(ctx, p, b.query); err != nil {
		return err
	}
	if len(p.ParamOIDs) > len(b.fields) {
		return &Error{Code: "42P02", Message: fmt.Sprintf("there is no parameter $%d", len(p.ParamOIDs))}
	}
	b.prepared = p
	return nil
}

// run carries the statement out with the values of fields.
func (b *bound) run(ctx context.Context, s *Session, at time.Time, value func(*boundField) (datum.Datum, error), sink RowSink) (string, error) {
	if !s.holds(b.prepared) {
		if err := b.prepare(ctx, s); err != nil {
			return "", err
		}
	}
	args := make([]datum.Datum, len(b.fields))
	for i := range b.fields {
		var err error
		if args[i], err = value(&b.fields[i]); err != nil {
			return "", err
		}
	}
	return s.runQuery(ctx, b.prepared, b.query, args, sink, at)
}
