package builtin

import (
	"math"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestResolve: the function that PostgreSQL would call.
func TestResolve(t *testing.T) {
	list := datum.Int4 | datum.Array
	for _, c := range []struct {
		name   string
		types  []datum.Type
		args   []datum.Type // nil: there is none
		result datum.Type
	}{
		{"array_replace", []datum.Type{list, datum.Int4, datum.Unknown}, []datum.Type{list, datum.Int4, datum.Int4}, list},
		{"array_replace", []datum.Type{list, datum.Text, datum.Unknown}, nil, 0},
		{"array_replace", []datum.Type{datum.Unknown, datum.Unknown, datum.Unknown}, nil, 0},
		{"array_replace", []datum.Type{datum.Int4, datum.Int4, datum.Int4}, nil, 0},
		{"quote_literal", []datum.Type{datum.Unknown}, []datum.Type{datum.Text}, datum.Text},
		{"quote_literal", []datum.Type{datum.Varchar}, []datum.Type{datum.Varchar}, datum.Text},
		{"quote_literal", []datum.Type{datum.Int8}, []datum.Type{datum.Int8}, datum.Text},
		{"quote_literal", []datum.Type{list}, []datum.Type{list}, datum.Text},
		{"split_part", []datum.Type{datum.Name, datum.Unknown, datum.Int2}, []datum.Type{datum.Text, datum.Text, datum.Int4}, datum.Text},
		{"split_part", []datum.Type{datum.Int4, datum.Text, datum.Int4}, nil, 0},
		{"split_part", []datum.Type{datum.Text, datum.Text}, nil, 0},
		{"nosuch", nil, nil, 0},
	} {
		got := Resolve(c.name, c.types)
		if got == nil || c.args == nil {
			if got != nil || c.args != nil {
				t.Errorf("%s of %v: %+v", c.name, c.types, got)
			}
			continue
		}
		if got.Result != c.result || len(got.Args) != len(c.args) {
			t.Errorf("%s of %v: %+v", c.name, c.types, got)
		}
		again, env, err := ParseSignature(got.Signature("UTC"))
		if err != nil || again.Function != got.Function || again.Result != got.Result || env.Location != time.UTC {
			t.Errorf("%s: its signature: %+v, %v", c.name, again, err)
		}
	}
}

// TestTimeOfSpan: what PostgreSQL 15 makes of the time of an interval, also of one that has wrapped around.
func TestTimeOfSpan(t *testing.T) {
	for micros, want := range map[int64]int64{0: 0, 25 * hour: hour, -hour: 23 * hour, -25 * hour: 23 * hour, -24 * hour: 0, math.MinInt64: 100854775808} {
		if got := timeOfSpan(micros); got != want {
			t.Errorf("the time of %d microseconds: got %d, want %d", micros, got, want)
		}
	}
}
