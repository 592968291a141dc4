package duck

import (
	"context"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

type memory map[string][][]datum.Datum

func (m memory) Scan(_ context.Context, spec ScanSpec) (Scan, error) {
	return RowScan(spec, m[spec.Table.Name]), nil
}

func TestRaw(t *testing.T) {
	e, err := Open(t.Context(), Config{SpillDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	table := &Table{Name: "t", Columns: []TableColumn{{Name: "a", Type: datum.Int8}, {Name: "b", Type: datum.Text}}}
	types := []frame.Type{{Kind: frame.Int64}, {Kind: frame.Text}}
	rows := [][]datum.Datum{}
	for i := range 10000 {
		rows = append(rows, []datum.Datum{datum.MakeInt(datum.Int8, int64(i)), datum.MakeText("hello, this is long")})
	}
	s := &frame.Statement{SQL: "select a, b from nscan(0) where a > 9995 order by a", Tables: []frame.Shape{{Columns: []frame.Field{{Name: "a", Type: types[0]}, {Name: "b", Type: types[1]}}}}}
	b := frame.NewBatch(nil)
	b.FinishRow()
	s.Args = b.Encode(nil)
	n := 0
	err = e.run(t.Context(), s, newScanServer(t.Context(), memory{"t": rows}, []ScanSpec{{Table: table}}, [][]frame.Type{types}), func(ev event) error {
		n += ev.rows.Rows()
		t.Log(ev.rows.Columns[0].Int(0), string(ev.rows.Columns[1].Bytes(0)))
		return nil
	})
	if err != nil || n != 4 {
		t.Fatal(n, err)
	}
	s.Args = nil
	err = e.run(t.Context(), s, nil, func(ev event) error { t.Log(ev.description); return nil })
	if err != nil {
		t.Fatal(err)
	}
}
