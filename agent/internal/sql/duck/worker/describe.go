package worker

import (
	"strconv"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// maxAsked is the number of parameters whose types DuckDB is asked for: it looks for
// each among all of them.
const maxAsked = 500

// describe answers with the types of parameters and columns. DuckDB knows no
// column while it does not know all parameters.
func (r *run) describe(stmt bind.PreparedStatement) error {
	d := frame.Description{Params: make([]frame.Type, len(r.statement.Params))}
	known, asked := true, 0
	for i, given := range r.statement.Params {
		d.Params[i] = given
		var at bind.IdxT
		if given.Kind != frame.Unknown || bind.BindParameterIndex(stmt, &at, strconv.Itoa(i+1)) == bind.StateError {
			continue
		}
		if asked++; asked > maxAsked {
			known = false
			continue
		}
		t := bind.ParamLogicalType(stmt, at)
		if t.Ptr != nil {
			if f, err := formOf(t); err == nil && f.native != bind.TypeSQLNull {
				d.Params[i] = f.typ
			}
			bind.DestroyLogicalType(&t)
		}
		known = known && d.Params[i].Kind != frame.Unknown
	}
	n := int(bind.PreparedStatementColumnCount(stmt))
	for i := 0; i < n && known; i++ {
		t := bind.PreparedStatementColumnLogicalType(stmt, bind.IdxT(i))
		if t.Ptr == nil || bind.GetTypeId(t) == bind.TypeInvalid {
			d.Columns = nil
			bind.DestroyLogicalType(&t)
			break
		}
		f, err := formOf(t)
		bind.DestroyLogicalType(&t)
		if err != nil {
			return err
		}
		d.Columns = append(d.Columns, frame.Field{Name: bind.PreparedStatementColumnName(stmt, bind.IdxT(i)), Type: f.typ})
	}
	return r.lane.conn.Send(frame.Described, d.Encode())
}
