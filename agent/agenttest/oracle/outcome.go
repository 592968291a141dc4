package oracle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Outcome is what one statement gives.
type Outcome struct {
	Names, Types []string
	Rows         []string
	cells        [][]string
	Tag          string
	Code         string // of the error, if it is one
	Message      string
}

// askOne sends one statement. An error is one that ended the connection.
func askOne(ctx context.Context, conn *pgconn.PgConn, statement string, by Protocol) (*Outcome, error) {
	var results []*pgconn.Result
	var err error
	if by == Extended {
		r := conn.ExecParams(ctx, statement, nil, nil, nil, nil).Read()
		results, err = []*pgconn.Result{r}, r.Err
	} else {
		results, err = conn.Exec(ctx, statement).ReadAll()
	}
	out := &Outcome{}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		out.Code, out.Message = refused.Code, refused.Message
		if conn.IsClosed() {
			return out, err
		}
		return out, nil
	}
	if err != nil || len(results) == 0 {
		return out, err
	}
	r := results[0]
	types := pgtype.NewMap()
	for _, f := range r.FieldDescriptions {
		out.Names, out.Types = append(out.Names, f.Name), append(out.Types, typeName(types, f.DataTypeOID))
	}
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = cell(v)
		}
		out.cells = append(out.cells, cells)
		out.Rows = append(out.Rows, strings.Join(cells, "|"))
	}
	out.Tag = r.CommandTag.String()
	return out, nil
}

func (o *Outcome) String() string {
	if o.Code != "" {
		return "ERROR " + o.Code + " " + o.Message
	}
	lines := []string{fmt.Sprint(o.Names, o.Types)}
	for i, r := range o.Rows {
		if i == 3 {
			lines = append(lines, fmt.Sprintf("... %d rows", len(o.Rows)))
			break
		}
		lines = append(lines, r)
	}
	return strings.Join(append(lines, o.Tag), " / ")
}

// How outcomes differ, the most dangerous first. What is refused is no difference.
const (
	sameKind    = ""
	refusedKind = "refused"
	lostKind    = "0 connection lost"
	rowsKind    = "1 rows"
	errorsKind  = "2 answered, an error in PostgreSQL"
	typesKind   = "3 types"
	namesKind   = "4 names"
	tagKind     = "5 tag"
	failsKind   = "6 an error, answered by PostgreSQL"
	codeKind    = "7 another SQLSTATE"
	firstKind   = "8 the other of two errors"
	// unneededKind is an error in one of the two of an expression that the answer does not need.
	unneededKind = "9 evaluated or not"
)

// difference says how got differs from what PostgreSQL gave. Of rough rows the last digits
// of floating-point numbers do not count; of lazy statements, neither which of the rows that
// fail is met.
func (o *Outcome) difference(got *Outcome, ordered, rough, lazy bool) string {
	switch {
	case got.Code == "0A000":
		return refusedKind
	case o.Code != "" && got.Code != "":
		if o.Code == got.Code || lazy && o.ofData() && got.ofData() {
			return sameKind
		}
		return codeKind
	case o.Code != "":
		if o.ofData() && (lazy || len(got.Rows) == 0) { // PostgreSQL computes constants first
			return sameKind
		}
		return errorsKind
	case got.Code != "":
		if got.ofData() && (lazy || len(o.Rows) == 0) {
			return sameKind
		}
		return failsKind
	case !sameRows(o, got, ordered, rough):
		return rowsKind
	case !slices.Equal(o.Types, got.Types):
		return typesKind
	case !slices.Equal(o.Names, got.Names):
		return namesKind
	case o.Tag != got.Tag:
		return tagKind
	}
	return sameKind
}

// ofData reports whether an error is of a value, which only who computes that meets. Of unistr's
// PostgreSQL tells by the code of a wrong statement.
func (o *Outcome) ofData() bool {
	return strings.HasPrefix(o.Code, "22") || o.Code == "21000" || o.Code == "42601" && strings.HasPrefix(o.Message, "invalid Unicode escape")
}

func sameRows(a, b *Outcome, ordered, rough bool) bool {
	x, y := slices.Clone(a.Rows), slices.Clone(b.Rows)
	if rough {
		x, y = roughRows(a), roughRows(b)
	}
	if !ordered {
		slices.Sort(x)
		slices.Sort(y)
	}
	return slices.Equal(x, y)
}

// roughRows are the rows with fewer digits of floating-point numbers.
func roughRows(o *Outcome) []string {
	out := make([]string, len(o.cells))
	for i, cells := range o.cells {
		short := slices.Clone(cells)
		for k := range short {
			short[k] = floatPattern.ReplaceAllStringFunc(short[k], func(s string) string {
				f, err := strconv.ParseFloat(s, 64)
				if err != nil || f == math.Trunc(f) && math.Abs(f) < 1e9 {
					return s
				}
				digits := 11
				if o.Types[k] == "float4" {
					digits = 5
				}
				return strconv.FormatFloat(f, 'g', digits, 64)
			})
		}
		out[i] = strings.Join(short, "|")
	}
	return out
}

var floatPattern = regexp.MustCompile(`-?\d+(\.\d+)?(e[+-]?\d+)?`)

var (
	literalPattern = regexp.MustCompile(`'(?:[^']|'')*'|\b\d+(\.\d+)?(e[+-]?\d+)?\b|\bnull\b|\b[tqwrf]\d+\.\w+`)
	aliasPattern   = regexp.MustCompile(`(\b(?:num|txt|dat|doc|emp|chg|big) )?\b[tqwrf]\d+\b`)
)

// shape is a statement without its values, which leaves their types, so that those of one bug are alike.
func shape(statement string) string {
	s := literalPattern.ReplaceAllString(statement, "?")
	return aliasPattern.ReplaceAllString(s, "t")
}
