package analysis

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// TestDescribe: parameters have PostgreSQL's types, columns PostgreSQL's modifiers.
func TestDescribe(t *testing.T) {
	in := Input{
		Resolve: func(_, name string) (*Relation, bool) {
			return &Relation{Columns: []Column{{Name: "n", Type: datum.Numeric, Modifier: 655366}, {Name: "v", Type: datum.Varchar, Modifier: 24}}}, name == "t"
		},
		Type:     func(syntax.TypeName) (datum.Type, bool) { return datum.Unknown, false },
		Modifier: func(syntax.TypeName) int32 { return 7 },
		Made:     func(string) bool { return false },
	}
	for _, c := range []struct {
		text     string
		params   []datum.Type
		modifier int32
	}{
		{"select n from t where v = $1", []datum.Type{datum.Text}, 655366},
		{"select v::varchar(3) from t", nil, 7},
		{"select coalesce(v, v) from t", nil, 24},
		{"select coalesce(v, 'x') from t", nil, -1},
		{"select case when n > $1 then n end from t", []datum.Type{datum.Numeric}, -1},
		{"select v from t union all select v from t", nil, 24},
		{"select (select n from t) from t", nil, 655366},
		{"select min(v) from t", nil, -1},
		{"values ($1, 1), (2, $2)", []datum.Type{datum.Int4, datum.Int4}, -1},
		{"update t set n = $1 returning v", []datum.Type{datum.Numeric}, 24},
	} {
		statement, err := syntax.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Describe(statement.Node.(*syntax.Query), in) //nolint:forcetypeassert // they are queries
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		if got := d.Columns[0].Modifier; got != c.modifier {
			t.Errorf("%s: modifier %d, not %d", c.text, got, c.modifier)
		}
		for i, p := range c.params {
			if d.Params[i] != p {
				t.Errorf("%s: $%d is %s, not %s", c.text, i+1, d.Params[i], p)
			}
		}
	}
}
