package sql

import (
	"context"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

type nullSink struct{}

func (nullSink) Describe([]Column) error { return nil }
func (nullSink) Row([]datum.Datum) error { return nil }

// onceDB answers every Get with one row, at no cost.
type onceDB struct {
	exec.DB
	rows []kv.Row
}

func (d *onceDB) Get(context.Context, kv.GetRequest) ([]kv.Row, error) { return d.rows, nil }

// BenchmarkPreparedPointSelect is what a point read costs above kv.
func BenchmarkPreparedPointSelect(b *testing.B) {
	f := newFixture(b, nil)
	c := f.open()
	c.run(createT)
	c.run("insert into t (id, name, price) values (1, 'one', 1.5)")
	key, _ := datum.EncodeKey(datum.MakeInt(datum.Int8, 1))
	table, _ := c.session.scope().Table("", "t")
	rows, err := f.db.Get(b.Context(), kv.GetRequest{Collection: table.ID(), Keys: [][]byte{key}})
	if err != nil {
		b.Fatal(err)
	}
	f.server.cfg.DB = &onceDB{DB: f.db, rows: rows}
	p, err := c.session.Prepare(b.Context(), "select id, name, price from t where id = $1", nil)
	if err != nil {
		b.Fatal(err)
	}
	args := []datum.Datum{datum.MakeInt(datum.Int8, 1)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.session.Execute(b.Context(), p, args, nullSink{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlanPointSelect is what planning costs when the text is known.
func BenchmarkPlanPointSelect(b *testing.B) {
	f := newFixture(b, nil)
	c := f.open()
	c.run(createT)
	b.ReportAllocs()
	for b.Loop() {
		c.session.plans = nil
		if _, err := c.session.Prepare(b.Context(), "select id, name, price from t where id = $1", nil); err != nil {
			b.Fatal(err)
		}
	}
}
