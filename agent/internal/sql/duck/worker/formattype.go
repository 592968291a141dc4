package worker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// formatType defines PostgreSQL's name of a type by its number and modifier.
func formatType() string {
	var b strings.Builder
	b.WriteString("nd_format_type(id, typmod) AS CASE id")
	for _, t := range datum.Types() {
		fmt.Fprintf(&b, " WHEN %d THEN %s WHEN %d THEN %[2]s || '[]'", t.OID(), typeName(t), (t | datum.Array).OID())
	}
	b.WriteString(" WHEN 0 THEN '-' ELSE '???' END")
	return b.String()
}

// typeName is an expression over typmod.
func typeName(t datum.Type) string {
	before, after, modifier, least := t.SQLName(), "", "typmod", 0
	switch t {
	case datum.Varchar, datum.Bpchar:
		modifier, least = "typmod - 4", 4
	case datum.Numeric:
		modifier, least = "(typmod - 4) >> 16 || ',' || ((typmod - 4) & 65535)", 4
	case datum.Timestamp, datum.Timestamptz, datum.Time, datum.Timetz:
		before, after, _ = strings.Cut(before, " ")
		after = " " + after
	case datum.Bit, datum.Varbit:
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
