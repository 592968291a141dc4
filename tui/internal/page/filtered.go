package page

import (
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// filtered is a table of which a query leaves some rows. A page that embeds it is a
// Filterer.
type filtered[R comparable] struct {
	t      *table.Table[R]
	fields *match.Fields[R]
	noun   string // of a row: "node"
	query  string
	test   func(R) bool // nil: every row
}

// Filter implements Filterer: a query that is wrong leaves the one before it.
func (f *filtered[R]) Filter(query string) error {
	test, err := f.fields.Parse(query)
	if err == nil {
		f.query, f.test = query, test
		f.t.Match(test)
	}
	return err
}

// Query implements Filterer.
func (f *filtered[R]) Query() string { return f.query }

// Hints implements Filterer.
func (f *filtered[R]) Hints() []string { return f.fields.Hints() }

// noMatch is shown when the query leaves no row.
func (f *filtered[R]) noMatch(th *theme.Theme, s Size) *cell.Block {
	return blank(th, s, "no "+f.noun+" matches", "filter: "+f.query+"   esc clears it")
}
