package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Protocol is how a statement is sent.
type Protocol string

// The protocols.
const (
	Simple   Protocol = "simple"
	Extended Protocol = "extended"
	// Described ones are not run, but by Describe.
	Described Protocol = "described"
)

// Answer is what a statement gives, in the lines of the corpus.
type Answer []string

// firstUserOID is the least OID of what users make: it is another in each database.
const firstUserOID = 16384

// typeName names a type as the corpus does.
func typeName(types *pgtype.Map, oid uint32) string {
	switch t, ok := types.TypeForOID(oid); {
	case ok:
		return t.Name
	case oid >= firstUserOID:
		return "user"
	default:
		return fmt.Sprintf("oid %d", oid)
	}
}

// cell writes one value so that NULL and text are told apart, on one line.
func cell(v []byte) string {
	if v == nil {
		return "NULL"
	}
	s := string(v)
	if s == "NULL" || s != strings.TrimSpace(s) {
		return `"` + s + `"`
	}
	return strings.NewReplacer("\\", `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "|", `\|`).Replace(s)
}

// Ask sends a statement and collects the answer. An error is one that ended the connection.
func Ask(ctx context.Context, conn *pgconn.PgConn, statement string, by Protocol) (Answer, error) {
	if by == Described {
		return Describe(ctx, conn, statement)
	}
	var out Answer
	types := pgtype.NewMap()
	one := func(fields []pgconn.FieldDescription, rows [][][]byte, tag pgconn.CommandTag) {
		if fields != nil {
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.Name + " " + typeName(types, f.DataTypeOID)
			}
			out = append(out, "("+strings.Join(names, ", ")+")")
		}
		for _, row := range rows {
			cells := make([]string, len(row))
			for i, v := range row {
				cells[i] = cell(v)
			}
			line := strings.Join(cells, "|")
			if line == "" { // which would be no line
				line = `""`
			}
			out = append(out, line)
		}
		out = append(out, tag.String())
	}
	var err error
	if by == Extended {
		r := conn.ExecParams(ctx, statement, nil, nil, nil, nil).Read()
		if err = r.Err; err == nil {
			one(r.FieldDescriptions, r.Rows, r.CommandTag)
		}
	} else {
		var results []*pgconn.Result
		results, err = conn.Exec(ctx, statement).ReadAll()
		for _, r := range results {
			if r.Err == nil {
				one(r.FieldDescriptions, r.Rows, r.CommandTag)
			}
		}
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return append(out, "ERROR "+refused.Code+" "+strings.ReplaceAll(refused.Message, "\n", " ")), nil
	}
	return out, err
}

// ordered reports whether a statement says in which order its rows are.
func ordered(statement string) bool {
	depth := 0
	lower := strings.ToLower(statement)
	for i := range len(lower) {
		switch lower[i] {
		case '(':
			depth++
		case ')':
			depth--
		case 'o':
			if depth == 0 && strings.HasPrefix(lower[i:], "order by") {
				return true
			}
		}
	}
	return false
}

// comparable is what of an answer is compared.
func (a Answer) comparable(statement string) []string {
	out := slices.Clone(a)
	for i, line := range out {
		if rest, ok := strings.CutPrefix(line, "ERROR "); ok {
			code, _, _ := strings.Cut(rest, " ")
			out[i] = "ERROR " + code
		}
	}
	if !ordered(statement) {
		slices.Sort(out)
	}
	return out
}

// Same reports whether two answers are the same.
func (a Answer) Same(b Answer, statement string) bool {
	return slices.Equal(a.comparable(statement), b.comparable(statement))
}

// Refused reports whether an answer says that something is not supported.
func (a Answer) Refused() bool {
	return len(a) > 0 && strings.HasPrefix(a[len(a)-1], "ERROR 0A000")
}

func (a Answer) String() string { return strings.Join(a, "\n      ") }
