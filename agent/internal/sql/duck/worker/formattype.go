package worker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// formatType defines PostgreSQL's name of a type by its number and modifier; null: it is
// none of these.
func formatType() string {
	var b strings.Builder
	b.WriteString("nd_format_type(id, typmod) AS CASE id")
	for _, t := range datum.Types() {
		fmt.Fprintf(&b, " WHEN %d THEN %s", t.OID(), typeName(t))
		if array := (t | datum.Array).OID(); array != 0 {
			fmt.Fprintf(&b, " WHEN %d THEN %s || '[]'", array, typeName(t))
		}
	}
	b.WriteString(" WHEN 0 THEN '-' END")
	return b.String()
}

// typeName is an expression over typmod.
func typeName(t datum.Type) string {
	before, after, modifier, least := t.SQLName(), "", "typmod", 0
	switch t {
	case datum.Varchar:
		modifier, least = "typmod - 4", 4
	case datum.Bpchar: // without a length it is another name than without a modifier
		return "CASE WHEN typmod >= 4 THEN 'character(' || (typmod - 4) || ')' WHEN typmod IS NULL THEN 'character' ELSE 'bpchar' END"
	case datum.Numeric: // a scale may be negative: it has eleven bits
		modifier, least = "((typmod - 4) >> 16) & 65535 || ',' || xor((typmod - 4) & 2047, 1024) - 1024", 4
	case datum.Timestamp, datum.Timestamptz, datum.Time, datum.Timetz:
		before, after, _ = strings.Cut(before, " ")
		after = " " + after
	case datum.Bit:
		return `CASE WHEN typmod >= 0 THEN 'bit(' || typmod || ')' WHEN typmod IS NULL THEN 'bit' ELSE '"bit"' END`
	case datum.Varbit:
	case datum.Interval:
		return intervalName()
	default:
		return "'" + before + "'"
	}
	return fmt.Sprintf("'%s' || CASE WHEN typmod >= %d THEN '(' || (%s) || ')' ELSE '' END || '%s'", before, least, modifier, after)
}

// intervalName is PostgreSQL's name of an interval of certain fields.
func intervalName() string {
	const exact = 0xffff
	fields := datum.IntervalFields()
	var b strings.Builder
	b.WriteString("'interval' || CASE WHEN typmod >= 0 THEN CASE typmod >> 16")
	for _, number := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, " WHEN %d THEN '%s'", number, fields[number])
	}
	fmt.Fprintf(&b, " ELSE '' END || CASE WHEN typmod & %d = %[1]d THEN '' ELSE '(' || (typmod & %[1]d) || ')' END ELSE '' END", exact)
	return b.String()
}

// typeNumber defines the number of the type of a value that the rewriter does not know.
func typeNumber() string {
	var b strings.Builder
	b.WriteString("nd_typeof(x) AS CAST(CASE typeof(x)")
	for _, n := range []struct {
		name string
		t    datum.Type
	}{{"BOOLEAN", datum.Bool}, {"SMALLINT", datum.Int2}, {"INTEGER", datum.Int4}, {"BIGINT", datum.Int8}, {"FLOAT", datum.Float4}, {"DOUBLE", datum.Float8},
		{"VARCHAR", datum.Text}, {"BLOB", datum.Bytea}, {"UUID", datum.UUID}, {"DATE", datum.Date}, {"TIMESTAMP", datum.Timestamp},
		{"TIMESTAMP WITH TIME ZONE", datum.Timestamptz}, {"JSON", datum.JSONB}, {"TIME", datum.Time}, {"TIME WITH TIME ZONE", datum.Timetz}, {"INTERVAL", datum.Interval}} {
		fmt.Fprintf(&b, " WHEN '%s' THEN %d WHEN '%[1]s[]' THEN %d", n.name, n.t.OID(), (n.t | datum.Array).OID())
	}
	fmt.Fprintf(&b, " ELSE CASE WHEN typeof(x) LIKE 'DECIMAL%%[]' THEN %d WHEN typeof(x) LIKE 'DECIMAL%%' OR typeof(x) = 'HUGEINT' THEN %d ELSE %d END END AS BIGINT)",
		(datum.Numeric | datum.Array).OID(), datum.Numeric.OID(), datum.Unknown.OID())
	return b.String()
}
