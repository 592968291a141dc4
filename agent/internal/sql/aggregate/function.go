package aggregate

import (
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Kind is what a function does with the values of a group.
type Kind byte

// The kinds.
const (
	Rows  Kind = iota + 1 // count(*)
	Count                 // count(x)
	Sum
	Avg
	Min
	Max
	And // bool_and, every
	Or  // bool_or
)

// Function is an aggregate function of values of one type.
type Function struct {
	Kind Kind
	Arg  datum.Type // of Rows: none
}

// Named reports whether name is that of an aggregate function that there may be here.
func Named(name string) bool {
	_, ok := kinds[name]
	return ok
}

var kinds = map[string]Kind{ //nolint:gochecknoglobals // a constant table
	"count": Count, "sum": Sum, "avg": Avg, "min": Min, "max": Max, "bool_and": And, "every": And, "bool_or": Or,
}

// Resolve finds the function called name for values of type arg. exact says that equal
// values are shown alike, as numerics of a declared scale are.
func Resolve(name string, arg datum.Type, exact bool) (Function, bool) {
	f := Function{Kind: kinds[name], Arg: arg}
	ok := false
	switch f.Kind {
	case Count:
		ok = arg != datum.Unknown
	case Sum, Avg:
		ok = arg.IsInt() || arg == datum.Numeric
	case Min, Max:
		if arg == datum.Varchar {
			arg, f.Arg = datum.Text, datum.Text // there are none of varchar
		}
		ok = arg.IsInt() || arg.IsDateTime() || arg == datum.Time || arg == datum.Text || arg == datum.Numeric && exact
	case And, Or:
		ok = arg == datum.Bool
	}
	return f, ok
}

// Groupable reports whether rows can be grouped by values of a type, the first of which
// stands for all that are equal to it. exact is as in Resolve.
func Groupable(t datum.Type, exact bool) bool {
	switch t {
	case datum.Bool, datum.Int2, datum.Int4, datum.Int8, datum.Text, datum.Varchar, datum.Bytea, datum.UUID, datum.Date,
		datum.Timestamp, datum.Timestamptz, datum.Time, datum.Name, datum.OID:
		return true
	case datum.Numeric:
		return exact
	default:
		return false
	}
}

// Result is the type of what comes out.
func (f Function) Result() datum.Type {
	switch f.Kind {
	case Rows, Count:
		return datum.Int8
	case Sum:
		if f.Arg == datum.Int2 || f.Arg == datum.Int4 {
			return datum.Int8
		}
		return datum.Numeric
	case Avg:
		return datum.Numeric
	default:
		return f.Arg
	}
}
