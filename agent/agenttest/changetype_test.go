//go:build long

package agenttest

import "testing"

// TestTypesChangeWhileNodesAreKilled: as TestTablesMoveWhileNodesAreKilled, but a column becomes
// of other types.
func TestTypesChangeWhileNodesAreKilled(t *testing.T) {
	t.Parallel()
	m := &mover{c: Start(t, Options{Nodes: 3}), steps: [3]string{"ALTER TABLE moved ALTER COLUMN b TYPE numeric",
		"ALTER TABLE moved ALTER COLUMN b TYPE int4 USING round(b)::int4", "ALTER TABLE moved ALTER COLUMN b TYPE numeric(14, 2)"}}
	m.run(t, "CREATE INDEX moved_c ON moved (c, id)", indexCheck{"Index Only Scan using moved_c on moved",
		"SELECT id::text || c FROM moved WHERE c || '' >= 'x'", "SELECT id::text || c FROM moved WHERE c >= 'x'"})
}
