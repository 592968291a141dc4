package oracle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Describe has a statement parsed and described, and tells what the server says of it: the
// types of its parameters, and the types of its columns with their modifiers. A statement
// that has neither is run, for those that come after it. An error is one that ended the
// connection.
func Describe(ctx context.Context, conn *pgconn.PgConn, statement string) (Answer, error) {
	d, err := conn.Prepare(ctx, "", statement, nil)
	if err == nil && len(d.ParamOIDs) == 0 && len(d.Fields) == 0 {
		return Ask(ctx, conn, statement, Simple)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return Answer{"ERROR " + refused.Code + " " + strings.ReplaceAll(refused.Message, "\n", " ")}, nil
	}
	if err != nil {
		return nil, err
	}
	types := pgtype.NewMap()
	var out Answer
	if len(d.ParamOIDs) > 0 {
		names := make([]string, len(d.ParamOIDs))
		for i, oid := range d.ParamOIDs {
			names[i] = fmt.Sprintf("$%d %s", i+1, typeName(types, oid))
		}
		out = append(out, strings.Join(names, ", "))
	}
	fields := make([]string, len(d.Fields))
	for i, f := range d.Fields {
		fields[i] = f.Name + " " + typeName(types, f.DataTypeOID)
		if f.TypeModifier != -1 {
			fields[i] += fmt.Sprintf("/%d", f.TypeModifier)
		}
	}
	return append(out, "("+strings.Join(fields, ", ")+")"), nil
}
