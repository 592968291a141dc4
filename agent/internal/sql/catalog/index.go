package catalog

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Index is a secondary index made ready for queries. It is immutable.
type Index struct {
	Desc  *cluster.Index
	Table *Table
	// Entries are its entries as a collection: its id, and the pool of the table.
	Entries *Table
	Columns []IndexColumn
	// Include holds the indexes in Table.Columns of the columns that entries hold beside.
	Include []int

	included    []int // Include by ascending id
	includedIDs []cluster.ColumnID
}

// IndexColumn is one of what an index is over.
type IndexColumn struct {
	Column     int    // in Table.Columns; -1: Expression
	Expression string // SQL text
	Direction  datum.Direction
}

// prepareIndexes makes the indexes of a table ready, but for those that nobody reads or
// writes yet.
func (t *Table) prepareIndexes(byID map[cluster.ColumnID]int) error {
	for i := range t.Desc.Collection.Indexes {
		desc := &t.Desc.Collection.Indexes[i]
		x := &Index{Desc: desc, Table: t}
		stored := cluster.Place{Pool: t.Pool(), ID: desc.ID}.Stored(t.Desc)
		stored.Name = t.Desc.Name
		x.Entries = &Table{Desc: &stored, schema: t.schema, Of: t}
		for _, c := range desc.Columns {
			column := IndexColumn{Column: -1, Expression: c.Expression, Direction: datum.Direction{Descending: c.Descending, NullsFirst: c.NullsFirst}}
			if c.Expression == "" {
				n, ok := byID[c.Column]
				if !ok {
					return fmt.Errorf("index %q of collection %q is over the unknown column %d", desc.Name, t.Desc.Name, c.Column)
				}
				column.Column = n
			}
			x.Columns = append(x.Columns, column)
		}
		for _, id := range desc.Include {
			n, ok := byID[id]
			if !ok {
				return fmt.Errorf("index %q of collection %q includes the unknown column %d", desc.Name, t.Desc.Name, id)
			}
			x.Include = append(x.Include, n)
		}
		x.included = slices.Clone(x.Include)
		slices.SortFunc(x.included, func(a, b int) int { return cmp.Compare(t.Columns[a].ID, t.Columns[b].ID) })
		for _, i := range x.included {
			x.includedIDs = append(x.includedIDs, t.Columns[i].ID)
		}
		t.Indexes = append(t.Indexes, x)
	}
	return nil
}

// ShownIndexes are the indexes that are not dropped.
func (t *Table) ShownIndexes() []*Index {
	if !slices.ContainsFunc(t.Indexes, func(x *Index) bool { return x.Desc.Dropped }) {
		return t.Indexes
	}
	return slices.DeleteFunc(slices.Clone(t.Indexes), func(x *Index) bool { return x.Desc.Dropped })
}

// Name is the index's.
func (x *Index) Name() string { return x.Desc.Name }

// Readable reports whether queries may rely on the entries.
func (x *Index) Readable() bool { return x.Desc.State == "" }

// Over reports whether an entry of a row changes with the column with the index, as far as
// that is not up to an expression.
func (x *Index) Over(column int) bool {
	return slices.ContainsFunc(x.Columns, func(c IndexColumn) bool { return c.Column == column }) || slices.Contains(x.Include, column)
}

// Plain reports whether the entries are of columns alone, and of all rows.
func (x *Index) Plain() bool {
	return x.Desc.Where == "" && !slices.ContainsFunc(x.Columns, func(c IndexColumn) bool { return c.Column < 0 })
}

// Single reports whether entries of rows with equal values without nulls are the same one.
func (x *Index) Single() bool { return x.Desc.Unique && !x.Desc.Deferrable }

// Unique reports whether no other row may have an entry with the values.
func (x *Index) Unique(values []datum.Datum) bool { return x.Single() && x.Distinct(values) }

// Distinct reports whether no other row may have the values, in the end.
func (x *Index) Distinct(values []datum.Datum) bool {
	return x.Desc.Unique && (x.Desc.NullsNotDistinct || !slices.ContainsFunc(values, func(v datum.Datum) bool { return v.Null }))
}

// Entry encodes the entry of a row whose primary key is encoded in primary: values are
// those of Columns.
func (x *Index) Entry(values, row []datum.Datum, primary []byte) (key, value []byte, err error) {
	var indexed []byte
	for i, c := range x.Columns {
		if indexed, err = datum.AppendIndexKey(indexed, values[i], c.Direction); err != nil {
			return nil, nil, fmt.Errorf("encode column %d of index %q: %w", i+1, x.Name(), err)
		}
	}
	if len(indexed) > maxIndexed {
		return nil, nil, &syntax.Error{Code: "54000", Message: fmt.Sprintf("index row size %d exceeds maximum %d for index %q", len(indexed), maxIndexed, x.Name()),
			Hint:  "Values larger than 1/3 of a buffer page cannot be indexed.\nConsider a function index of an MD5 hash of the value, or use full text indexing.",
			Table: x.Table.Name()}
	}
	rest := primary
	if x.Unique(values) {
		rest = nil
		value = append(binary.AppendUvarint(value, uint64(len(primary))), primary...)
	} else {
		value = append(value, 0)
	}
	included := make([]datum.Datum, len(x.included))
	for n, i := range x.included {
		included[n] = row[i]
	}
	return keys.Entry(indexed, rest), datum.AppendRow(value, x.includedIDs, included), nil
}

// Values is the key under which the values of a deferrable index are locked: the entry that
// has no primary key.
func (x *Index) Values(values []datum.Datum) ([]byte, error) {
	var indexed []byte
	var err error
	for i, c := range x.Columns {
		if indexed, err = datum.AppendIndexKey(indexed, values[i], c.Direction); err != nil {
			return nil, fmt.Errorf("encode column %d of index %q: %w", i+1, x.Name(), err)
		}
	}
	return keys.Entry(indexed, nil), nil
}

// maxIndexed is how many bytes of values an entry may have: it is read as often as the
// rows, and held in memory where those are looked up.
const maxIndexed = 8 << 10

// Split takes an entry apart: the values that it is over and the primary key, as they are
// encoded, and what it includes.
func (x *Index) Split(key, value []byte) (indexed, primary, included []byte, err error) {
	indexed, primary, err = keys.SplitEntry(key)
	n, w := binary.Uvarint(value)
	if err != nil || w <= 0 || n > uint64(len(value)-w) {
		return nil, nil, nil, fmt.Errorf("index %q has a malformed entry", x.Name())
	}
	if n > 0 {
		primary = value[w : w+int(n)]
	}
	return indexed, primary, value[w+int(n):], nil
}

// Covers reports whether the wanted columns can be had from entries alone.
func (x *Index) Covers(wanted []bool) bool {
	for i, want := range wanted {
		if want && !x.gives(i) {
			return false
		}
	}
	return true
}

// gives reports whether entries give back the values of a column as they are.
func (x *Index) gives(column int) bool {
	if slices.Contains(x.Include, column) {
		return true
	}
	if !x.Plain() || !datum.KeyExact(x.Table.Columns[column].Type) {
		return false
	}
	return x.Table.IsKey(column) || slices.ContainsFunc(x.Columns, func(c IndexColumn) bool { return c.Column == column })
}

// NewDecoder returns a decoder of columns, which the index has to cover, from entries.
func (x *Index) NewDecoder(wanted []bool) *Decoder {
	d := &Decoder{table: x.Table, index: x, wanted: wanted}
	for _, i := range x.included {
		if wanted[i] {
			d.want = append(d.want, datum.RowColumn{ID: x.Table.Columns[i].ID, Type: x.Table.Columns[i].Type, Index: i})
		}
	}
	for _, i := range x.Table.Key {
		d.key = d.key || wanted[i]
	}
	return d
}

// decodeEntry fills the wanted columns of out from an entry.
func (d *Decoder) decodeEntry(key, value []byte, out []datum.Datum) error {
	x := d.index
	indexed, primary, included, err := x.Split(key, value)
	if err != nil {
		return err
	}
	for _, c := range x.Columns {
		if c.Column < 0 {
			break // gives says that nothing is wanted of such an index
		}
		t := x.Table.Columns[c.Column].Type
		v, rest, err := datum.DecodeIndexKey(t, indexed, c.Direction)
		if err != nil {
			return fmt.Errorf("decode an entry of %q: %w", x.Name(), err)
		}
		if d.wanted[c.Column] && datum.KeyExact(t) {
			out[c.Column] = v
		}
		indexed = rest
	}
	for _, i := range x.Table.Key {
		if !d.key {
			break
		}
		v, rest, err := datum.DecodeKey(x.Table.Columns[i].Type, primary)
		if err != nil {
			return fmt.Errorf("decode an entry of %q: %w", x.Name(), err)
		}
		if d.wanted[i] && datum.KeyExact(x.Table.Columns[i].Type) {
			out[i] = v
		}
		primary = rest
	}
	if len(d.want) == 0 {
		return nil
	}
	if err := datum.DecodeRow(included, d.want, out); err != nil {
		return fmt.Errorf("decode an entry of %q: %w", x.Name(), err)
	}
	return nil
}

// ValuesText shows the columns and the values of an entry, for messages.
func (x *Index) ValuesText(values []datum.Datum) (columns, shown string) {
	var names, texts []string
	for i, c := range x.Columns {
		name, text := c.Expression, "null"
		if c.Column >= 0 {
			name = x.Table.Columns[c.Column].Name
		}
		if !values[i].Null {
			text = values[i].Text()
		}
		names, texts = append(names, name), append(texts, text)
	}
	return strings.Join(names, ", "), strings.Join(texts, ", ")
}
