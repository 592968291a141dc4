package worker

import (
	"fmt"
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
	before, after, modifier := t.SQLName(), "", ""
	switch t {
	case datum.Varchar, datum.Bpchar:
		modifier = "typmod - 4"
	case datum.Numeric:
		modifier = "(typmod - 4) >> 16 || ',' || ((typmod - 4) & 65535)"
	default:
		return "'" + before + "'"
	}
	return fmt.Sprintf("'%s' || CASE WHEN typmod >= 4 THEN '(' || (%s) || ')' ELSE '' END || '%s'", before, modifier, after)
}
