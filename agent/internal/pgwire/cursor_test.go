package pgwire

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestCursorIsAPortal: what DECLARE has made can be described, executed and closed by messages.
func TestCursorIsAPortal(t *testing.T) {
	c := start(t, nil).raw(t)
	describe, sync := &pgproto3.Describe{ObjectType: 'P', Name: "c"}, &pgproto3.Sync{}
	expect(t, "none yet", c.do(describe, sync), "ERROR 34000", "ready I")
	c.do(&pgproto3.Query{String: "begin"})
	c.do(&pgproto3.Query{String: `declare "c"`})
	columns := c.do(&pgproto3.Parse{Query: "rows 1"}, &pgproto3.Describe{ObjectType: 'S'}, sync)[2]
	expect(t, "described", c.do(describe, sync), columns, "ready T")
	expect(t, "two rows", c.do(&pgproto3.Execute{Portal: "c", MaxRows: 2}, sync), "row 0 row 0", "row 1 row 1", "suspended", "ready T")
	expect(t, "all rows", c.do(&pgproto3.Execute{Portal: "c"}, sync), "row 0 row 0", "row 1 row 1", "row 2 row 2", "SELECT 3", "ready T")
	expect(t, "closed", c.do(&pgproto3.Close{ObjectType: 'P', Name: "c"}, describe, sync), "closed", "ERROR 34000", "ready E")
}
