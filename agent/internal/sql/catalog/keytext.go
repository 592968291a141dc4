package catalog

import (
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// KeyFromText encodes the primary key of a row of desc from the text of its
// columns, in key order.
func KeyFromText(view *metastate.View, desc *cluster.Object, values []string) ([]byte, error) {
	t, err := Scope{View: view}.NewTable(desc, nil)
	if err != nil {
		return nil, err
	}
	if len(values) != len(t.Key) {
		var names []string
		for _, i := range t.Key {
			names = append(names, t.Columns[i].Name)
		}
		return nil, fmt.Errorf("the key of %s has %d columns (%s), %d were given", desc.Name, len(t.Key), strings.Join(names, ", "), len(values))
	}
	row := make([]datum.Datum, len(t.Columns))
	for n, i := range t.Key {
		v, err := datum.ParseText(t.Columns[i].Type, values[n], time.UTC)
		if err == nil {
			v, err = datum.ApplyModifier(v, t.Columns[i].Modifier, false)
		}
		if err != nil {
			return nil, fmt.Errorf("key column %s: %w", t.Columns[i].Name, err)
		}
		row[i] = v
	}
	return t.EncodeKey(row)
}
