package datastate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// schemaModel is a range that writers of several versions of a table write to, each of
// which says in what it writes by which version it was.
type schemaModel struct {
	h     *half
	rng   *rand.Rand
	newer uint64 // the version that the newest writers know
	acked uint64 // that a raise has answered to
	at    hlc.Timestamp
	open  []schemaTxn
	made  byte
}

// schemaTxn is a transaction with an intent.
type schemaTxn struct {
	id     cluster.TxnID
	record []byte
	row    []byte
}

// row is one on which there is no intent: locks keep others from those.
func (m *schemaModel) row() []byte {
next:
	for {
		row := rowOf(changing, 16, byte(m.rng.IntN(40)))
		for i := range m.open {
			if string(m.open[i].row) == string(row) {
				continue next
			}
		}
		return row
	}
}

// step has somebody do something.
func (m *schemaModel) step() {
	version := m.newer - uint64(m.rng.IntN(int(min(m.newer, 3)))) //nolint:gosec // small
	value := strconv.FormatUint(version, 10)
	switch m.rng.IntN(6) {
	case 0:
		m.newer++
	case 1, 2:
		m.h.ask(&Batch{Schemas: by(version), Ops: []Op{put(m.row(), value)}})
	case 3:
		m.made++
		x := schemaTxn{id: cluster.TxnID{15: m.made, 14: 1}, row: m.row()}
		x.record = keys.TxnRecord(rowOf(beside, 17, 1), x.id)
		if r, _ := m.h.ask(&Prewrite{Schemas: by(version), Ops: []Op{put(x.row, value)}, Txn: x.id, Record: x.record}); r.Outcome == Applied {
			m.open = append(m.open, x)
		}
	case 4:
		if len(m.open) > 0 {
			m.resolve(m.rng.IntN(len(m.open)))
		}
	case 5:
		wanted := m.newer
		if r := m.h.raise(wanted); r.Outcome == Applied {
			m.acked, m.at = max(m.acked, wanted), *m.h.now
		}
	}
}

func (m *schemaModel) resolve(i int) {
	x := m.open[i]
	m.open = append(m.open[:i:i], m.open[i+1:]...)
	*m.h.now++
	m.h.ask(&Resolve{Txn: x.id, Record: x.record, CommitTS: *m.h.now * hlc.Timestamp(m.rng.IntN(2)), Rows: [][]byte{x.row}})
}

// check finds what was written by an older version than the range has answered for, after
// it has.
func (m *schemaModel) check() error {
	for n := range byte(40) {
		row := rowOf(changing, 16, n)
		v, err := Read(m.h.e, row, hlc.Max)
		if err != nil {
			return err
		}
		by, _ := strconv.ParseUint(string(v.Value), 10, 64)
		if v.Live && v.TS > m.at && by < m.acked {
			return fmt.Errorf("row %d was written by version %d at %s, after version %d was asked for at %s", n, by, v.TS, m.acked, m.at)
		}
	}
	return nil
}

// runSchemaModel returns what a machine with planted faults is found out by.
func runSchemaModel(t *testing.T, seed uint64, p Planted) error {
	t.Helper()
	a, _ := halves(t)
	a.m.planted = p
	m := &schemaModel{h: a, rng: rand.New(rand.NewPCG(seed, 1)), newer: 1} //nolint:gosec // a test's
	for range 300 {
		if len(m.open) > 2 {
			m.resolve(0)
		}
		m.step()
		if err := m.check(); err != nil {
			return err
		}
	}
	if m.acked < 3 {
		return errors.Join(errIdle, fmt.Errorf("version %d", m.acked))
	}
	return nil
}

var errIdle = errors.New("nobody has raised a fence")

// TestSchemaModel: once a range has answered for a version, nothing comes to be there that
// was written by an older one.
func TestSchemaModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	t.Logf("seed %d", seed)
	for i := range uint64(8) {
		if err := runSchemaModel(t, seed+i, Planted{}); err != nil {
			t.Fatal(strings.TrimSpace(err.Error()))
		}
	}
}
