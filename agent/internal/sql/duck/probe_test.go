package duck

import (
	"os"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// TestProbe runs the statements of a file, for exploring.
func TestProbe(t *testing.T) {
	p, err := os.ReadFile(os.Getenv("PROBE"))
	if err != nil {
		t.Skip()
	}
	e := open(t, Config{})
	for _, q := range strings.Split(string(p), "\n") {
		if q == "" {
			continue
		}
		s := &frame.Statement{SQL: q}
		b := frame.NewBatch(nil)
		b.FinishRow()
		s.Args = b.Encode(nil)
		out := ""
		err = e.run(t.Context(), s, nil, func(ev event) error {
			for row := range min(ev.rows.Rows(), 3) {
				out += " |"
				for i := range ev.rows.Columns {
					c := &ev.rows.Columns[i]
					d := decoder{typ: datumType(c.Type)}
					x, err := d.datum(c, row)
					v := x.Text()
					if x.Null {
						v = "NULL"
					}
					if err != nil {
						v = err.Error()
					}
					out += " " + v + ":" + c.Type.SQL()
				}
			}
			return nil
		})
		t.Log(q, "=>", out, err)
	}
}
