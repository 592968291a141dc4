package duck

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TestQueries runs the files of testdata. Commands:
//
//	table NAME: COL TYPE [notnull] [hidden], ...   rows follow, values split by |
//	query [types] [args=(TYPE:VALUE, ...)]          rows; types: columns first; ; stands for ,
//	scans                                           a query's scans instead of its rows
//
// The expected results are PostgreSQL 15's unless the file says otherwise.
func TestQueries(t *testing.T) {
	e := open(t, Config{})
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := newMemory()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "table":
				def, rows, _ := strings.Cut(d.Input, "\n")
				var values [][]string
				for _, r := range strings.Split(rows, "\n") {
					if r != "" {
						values = append(values, strings.Split(r, "|"))
					}
				}
				m.add(t, def, values...)
				return ""
			case "query":
				return runQuery(t, e, m, d)
			case "scans":
				m.specs = nil
				if _, err := query(t.Context(), e, m, d.Input, arguments(t, d)...); err != nil {
					return errorText(err)
				}
				return scanText(m)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
		if n := m.openScans(); n != 0 {
			t.Errorf("%d scans were not closed", n)
		}
	})
}

func arguments(t *testing.T, d *datadriven.TestData) (args []datum.Datum) {
	for _, a := range d.CmdArgs {
		if a.Key != "args" {
			continue
		}
		for _, v := range a.Vals {
			typ, s, _ := strings.Cut(v, ":")
			dt, ok := datum.TypeByName(typ)
			if !ok {
				t.Fatalf("no type %s", typ)
			}
			args = append(args, parse(t, dt, strings.ReplaceAll(s, ";", ",")))
		}
	}
	return args
}

func runQuery(t *testing.T, e *Engine, m *memory, d *datadriven.TestData) string {
	args := arguments(t, d)
	var types []datum.Type
	if !d.HasArg("untyped") {
		for _, a := range args {
			types = append(types, a.Type)
		}
	}
	p, err := prepare(t.Context(), e, m, d.Input, types...)
	if err != nil {
		return errorText(err)
	}
	var b strings.Builder
	if d.HasArg("types") {
		var cols []string
		for _, c := range p.Columns() {
			cols = append(cols, c.Name+" "+c.Type.String())
		}
		fmt.Fprintln(&b, "--", strings.Join(cols, ", "))
		if len(p.ParamTypes()) > 0 {
			fmt.Fprintf(&b, "-- params %v\n", p.ParamTypes())
		}
	}
	err = p.Execute(t.Context(), Execution{Args: args, Source: m, Now: testNow}, func(row []datum.Datum) error {
		for i, v := range row {
			if i > 0 {
				b.WriteByte('|')
			}
			if v.Null {
				b.WriteString("NULL")
			} else {
				b.WriteString(v.Text())
			}
			if v.Type != p.Columns()[i].Type {
				fmt.Fprintf(&b, "(%s!)", v.Type)
			}
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		return b.String() + errorText(err)
	}
	return b.String()
}

func errorText(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return "ERROR ?????: " + err.Error() + "\n"
	}
	return "ERROR " + e.Code + ": " + e.Message + "\n"
}

func scanText(m *memory) string {
	var b strings.Builder
	for _, s := range m.specs {
		fmt.Fprintf(&b, "%s:", s.Table.Name)
		for _, c := range s.Columns {
			fmt.Fprintf(&b, " %s", s.Table.Columns[c].Name)
		}
		for _, c := range s.Constraints {
			fmt.Fprintf(&b, " [%s %s", s.Table.Columns[c.Column].Name, map[Op]string{OpEQ: "=", OpLT: "<", OpLE: "<=", OpGT: ">", OpGE: ">=", OpIn: "in", OpNotNull: "notnull"}[c.Op])
			for _, v := range c.Values {
				fmt.Fprintf(&b, " %s:%s", v.Type, v.Text())
			}
			b.WriteByte(']')
		}
		b.WriteByte('\n')
	}
	return b.String()
}
