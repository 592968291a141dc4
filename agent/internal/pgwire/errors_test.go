package pgwire

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

// TestRoutines: drivers prepare a statement anew after errors that they know by PostgreSQL's function.
func TestRoutines(t *testing.T) {
	for _, c := range []struct {
		err  sql.Error
		want string
	}{
		{sql.Error{Code: "0A000", Message: "cached plan must not change result type"}, "RevalidateCachedQuery"},
		{sql.Error{Code: "26000", Message: `prepared statement "s" does not exist`}, "FetchPreparedStatement"},
		{sql.Error{Code: "0A000", Message: "another"}, ""},
	} {
		if got := errorResponse(&c.err).Routine; got != c.want {
			t.Errorf("%s %s: %q, want %q", c.err.Code, c.err.Message, got, c.want)
		}
	}
}
