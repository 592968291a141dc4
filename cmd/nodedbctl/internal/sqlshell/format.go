package sqlshell

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// text writes rows in the forms that only SQL has: expanded and unaligned. Empty
// for a plain table.
func (f *format) text(columns []pgconn.FieldDescription, rows []row) string {
	var b strings.Builder
	switch {
	case f.expanded:
		f.writeExpanded(&b, columns, rows)
	case f.unaligned:
		f.writeUnaligned(&b, columns, rows)
	}
	return b.String()
}

func (f *format) writeExpanded(b *strings.Builder, columns []pgconn.FieldDescription, rows []row) {
	width := 0
	for _, c := range columns {
		width = max(width, len([]rune(c.Name)))
	}
	for n, r := range rows {
		switch {
		case !f.tuples:
			fmt.Fprintf(b, "-[ RECORD %d ]-%s\n", n+1, strings.Repeat("-", width))
		case n > 0:
			b.WriteByte('\n')
		}
		for i, c := range columns {
			fmt.Fprintf(b, "%s%s | %s\n", c.Name, strings.Repeat(" ", width-len([]rune(c.Name))), r.values[i])
		}
	}
	if len(rows) == 0 && !f.tuples {
		b.WriteString("(0 rows)\n")
	}
}

func (f *format) writeUnaligned(b *strings.Builder, columns []pgconn.FieldDescription, rows []row) {
	line := make([]string, len(columns))
	if !f.tuples {
		for i, c := range columns {
			line[i] = c.Name
		}
		b.WriteString(strings.Join(line, f.sep) + "\n")
	}
	for _, r := range rows {
		for i, v := range r.values {
			line[i] = string(v)
		}
		b.WriteString(strings.Join(line, f.sep) + "\n")
	}
}
