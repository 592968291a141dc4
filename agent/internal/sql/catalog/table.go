package catalog

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Table is a collection made ready for queries. It is immutable.
type Table struct {
	Desc *cluster.Object
	// Columns are all columns in the descriptor's order, hidden ones included.
	Columns []Column
	// Key holds the indexes in Columns of the primary key, in key order.
	Key []int
	// Indexes are those beside the key, in the order of their making.
	Indexes []*Index
	// Of is the table, if these are the entries of an index of one.
	Of *Table
	// Functions are those of users that its expressions call.
	Functions map[cluster.ObjectID]*Callable
	// Next is the table once its columns are of the types that they become; nil: they stay.
	Next *Table

	schema *cluster.Object   // nil: of one that is being made
	types  []*cluster.Object // and the functions
	byName map[string]int
	// stored holds the indexes of the columns that the value holds, by ascending
	// column id: all but those that the key gives back exactly.
	stored    []int
	storedIDs []cluster.ColumnID
	all       *Decoder
	kept      struct {
		sync.Mutex
		value any
	}
}

// Column is a column made ready for queries.
type Column struct {
	ID       cluster.ColumnID
	Name     string
	Type     datum.Type
	Modifier int32 // PostgreSQL's typmod, -1: none
	NotNull  bool  // of what is written
	// Unproven says that rows may have nulls all the same, from before.
	Unproven bool
	Default  string // SQL text, "" if none
	Hidden   bool
	// Missing is the value in rows that do not hold the column.
	Missing datum.Datum
	Comment string
	// Identity says that it is GENERATED AS IDENTITY, Always that no other values than
	// those of its sequence are taken.
	Identity, Always bool
	Generated        string // SQL text, "" if it is given
	// User is the domain, the enum or the composite type that it is of; nil: none.
	User       *cluster.Object
	UserSchema string
	// Functions are those that expressions of the table call.
	Functions map[cluster.ObjectID]*Callable
}

// NewTable prepares a descriptor; it fails if a newer version wrote a type that
// this one does not know.
func (s Scope) NewTable(desc, schema *cluster.Object) (*Table, error) {
	rows := desc.Collection
	t := &Table{Desc: desc, schema: schema, byName: make(map[string]int, len(rows.Columns))}
	byID := make(map[cluster.ColumnID]int, len(rows.Columns))
	var err error
	if t.Functions, err = s.callables(rows); err != nil {
		return nil, fmt.Errorf("collection %q: %w", desc.Name, err)
	}
	for _, id := range slices.Sorted(maps.Keys(t.Functions)) {
		t.types = append(t.types, t.Functions[id].Object)
		if body := t.Functions[id].Body; body != nil {
			t.types = append(t.types, body.needs...)
		}
	}
	for i, c := range rows.Columns {
		typ, user, ok := typeOf(&c, s.Object, s.madeType)
		if !ok || !typ.Storable() {
			return nil, fmt.Errorf("column %q of collection %q has the unknown type %q", c.Name, desc.Name, c.Type)
		}
		userSchema := ""
		if user != nil {
			t.types = append(t.types, s.withParts(user)...)
			if p, ok := s.Object(user.Parent); ok {
				userSchema = p.Name
			}
		}
		missing := datum.MakeNull(typ)
		if c.Missing != nil {
			var err error
			if missing, err = datum.DecodeStored(typ, c.Missing); err != nil {
				return nil, fmt.Errorf("column %q of collection %q: what rows without it hold: %w", c.Name, desc.Name, err)
			}
		}
		t.Columns = append(t.Columns, Column{ID: c.ID, Name: c.Name, Type: typ, Modifier: c.Modifier,
			NotNull: c.NotNull, Unproven: c.NotNullState != "", Default: c.Default, Hidden: c.Hidden, Identity: c.Identity != 0, Always: c.Always, Missing: missing, Comment: c.Comment, Generated: c.Generated, User: user, UserSchema: userSchema, Functions: t.Functions})
		t.byName[c.Name], byID[c.ID] = i, i
	}
	inKey := make(map[int]bool, len(rows.PrimaryKey))
	for _, id := range rows.PrimaryKey {
		i, ok := byID[id]
		if !ok {
			return nil, fmt.Errorf("collection %q has no column %d, which its key names", desc.Name, id)
		}
		t.Key = append(t.Key, i)
		inKey[i] = true
		t.Columns[i].NotNull = true
	}
	for i, c := range t.Columns {
		if !inKey[i] || !datum.KeyExact(c.Type) {
			t.stored = append(t.stored, i)
		}
	}
	slices.SortFunc(t.stored, func(a, b int) int { return int(t.Columns[a].ID) - int(t.Columns[b].ID) })
	for _, i := range t.stored {
		t.storedIDs = append(t.storedIDs, t.Columns[i].ID)
	}
	t.all = t.NewDecoder(nil)
	if len(rows.Converts()) > 0 {
		next := *desc
		next.Collection = rows.Converted()
		if t.Next, err = s.NewTable(&next, schema); err != nil {
			return nil, err
		}
		t.types = append(t.types, t.Next.types...)
	}
	return t, t.prepareIndexes(byID)
}

// Same reports whether other is the same form of the same table.
func (t *Table) Same(other *Table) bool {
	return t.Desc == other.Desc && t.schema == other.schema && slices.Equal(t.types, other.types)
}

// current reports whether the types of the columns are still what they were.
func (t *Table) current(s Scope) bool {
	return !slices.ContainsFunc(t.types, func(o *cluster.Object) bool {
		now, ok := s.Object(o.ID)
		return !ok || now != o
	})
}

// Keep returns what compute makes of the table, which it is asked for once.
func (t *Table) Keep(compute func() (any, error)) (any, error) {
	t.kept.Lock()
	defer t.kept.Unlock()
	if t.kept.value != nil {
		return t.kept.value, nil
	}
	v, err := compute()
	if err == nil {
		t.kept.value = v
	}
	return v, err
}

// Name returns the collection's name.
func (t *Table) Name() string { return t.Desc.Name }

// Owner is the table itself, or the one whose index these are the entries of.
func (t *Table) Owner() *Table {
	if t.Of != nil {
		return t.Of
	}
	return t
}

// Schema returns the schema that it is in.
func (t *Table) Schema() *cluster.Object { return t.schema }

// FullName is the name with that of the schema in front, unless that is public.
func (t *Table) FullName() string {
	if t.schema.Name == Public {
		return t.Desc.Name
	}
	return t.schema.Name + "." + t.Desc.Name
}

// ID is the id under which its rows are.
func (t *Table) ID() cluster.CollectionID { return t.Desc.RowsID() }

// ObjectID is what everything else knows it by.
func (t *Table) ObjectID() cluster.ObjectID { return t.Desc.ID }

// NeverNull reports whether no row has null there.
func (c *Column) NeverNull() bool { return c.NotNull && !c.Unproven }

// Version is that of the descriptor: what is written by it says so, and ranges refuse it
// once later ones have to be known.
func (t *Table) Version() uint64 { return t.Owner().Desc.Version }

// ReadVersion is the version that reads rest on, which only those of the entries of indexes
// do: not everybody who writes rows maintains them for ever. 0: on none.
func (t *Table) ReadVersion() uint64 {
	if t.Of == nil {
		return 0
	}
	return t.Version()
}

// Pool returns the pool in which the rows live.
func (t *Table) Pool() cluster.PoolID { return t.Desc.Collection.Pool }

// ColumnIndex returns the index of the column called name.
func (t *Table) ColumnIndex(name string) (int, bool) {
	i, ok := t.byName[name]
	return i, ok
}

// KeyName is the name of the constraint that Key is the primary key by; "": by none.
func (t *Table) KeyName() string { return t.Desc.Collection.KeyName }

// PrimaryColumns are the indexes in Columns of those of the primary key that a constraint
// says; none: there is none, or rows may break it for a while.
func (t *Table) PrimaryColumns() []int {
	if t.KeyName() != "" {
		return t.Key
	}
	for _, x := range t.Indexes {
		if x.Desc.Constraint != cluster.PrimaryConstraint || x.Desc.Dropped || !x.Readable() || !x.Single() {
			continue
		}
		columns := make([]int, len(x.Columns))
		for i, c := range x.Columns {
			columns[i] = c.Column
		}
		return columns
	}
	return nil
}

// IsKey reports whether the column with the index is part of the key.
func (t *Table) IsKey(index int) bool { return slices.Contains(t.Key, index) }

// EncodeKey encodes the primary key of a row; its columns must not be null.
func (t *Table) EncodeKey(row []datum.Datum) ([]byte, error) {
	key := make([]byte, 0, 16*len(t.Key))
	var err error
	for _, i := range t.Key {
		if key, err = datum.AppendKey(key, row[i]); err != nil {
			return nil, fmt.Errorf("encode key column %q: %w", t.Columns[i].Name, err)
		}
	}
	return key, nil
}

// Later are the columns of a stored row that were added after this form of the table. A
// row that is written anew keeps them: who wrote them knows more.
func (t *Table) Later(value []byte) (datum.Later, error) {
	later, err := datum.TakeLater(value, t.Desc.Collection.NextColumn)
	if err != nil {
		return later, fmt.Errorf("decode row of %q: %w", t.Desc.Name, err)
	}
	return later, nil
}

// EncodeValue encodes what a row holds beside its key; later are the columns of the row
// that it replaces.
func (t *Table) EncodeValue(row []datum.Datum, later datum.Later) []byte {
	values := make([]datum.Datum, len(t.stored))
	for n, i := range t.stored {
		values[n] = row[i]
	}
	last := cluster.ColumnID(0)
	if n := len(t.storedIDs); n > 0 {
		last = t.storedIDs[n-1]
	}
	return datum.AppendLater(datum.AppendRow(make([]byte, 0, 16+16*len(values)), t.storedIDs, values), last, later)
}

// DecodeRow fills out, as long as Columns, from a stored row.
func (t *Table) DecodeRow(key, value []byte, out []datum.Datum) error {
	return t.all.Decode(key, value, out)
}

// Decoder reads some columns of stored rows.
type Decoder struct {
	table  *Table
	index  *Index // nil: it reads rows
	key    bool   // some wanted column comes from the key
	wanted []bool
	want   []datum.RowColumn
	absent []int
}

// NewDecoder returns a decoder of the columns for which wanted is true; nil: all.
func (t *Table) NewDecoder(wanted []bool) *Decoder {
	d := &Decoder{table: t, wanted: wanted}
	if wanted == nil {
		d.wanted = make([]bool, len(t.Columns))
		for i := range d.wanted {
			d.wanted[i] = true
		}
	}
	for _, i := range t.stored {
		if d.wanted[i] {
			d.want = append(d.want, datum.RowColumn{ID: t.Columns[i].ID, Type: t.Columns[i].Type, Index: i})
			d.absent = append(d.absent, i)
		}
	}
	for _, i := range t.Key {
		d.key = d.key || d.wanted[i] && datum.KeyExact(t.Columns[i].Type)
	}
	return d
}

// Nothing reports whether no column is wanted: Decode need not be called.
func (d *Decoder) Nothing() bool { return !slices.Contains(d.wanted, true) }

// Decode fills the wanted columns of out, which is as long as Table.Columns.
func (d *Decoder) Decode(key, value []byte, out []datum.Datum) error {
	if d.index != nil {
		return d.decodeEntry(key, value, out)
	}
	t := d.table
	if d.key {
		rest := key
		for _, i := range t.Key {
			v, r, err := datum.DecodeKey(t.Columns[i].Type, rest)
			if err != nil {
				return fmt.Errorf("decode key of %q: %w", t.Desc.Name, err)
			}
			out[i], rest = v, r
		}
	}
	for _, i := range d.absent {
		out[i] = t.Columns[i].Missing
	}
	if len(d.want) == 0 {
		return nil
	}
	if err := datum.DecodeRow(value, d.want, out); err != nil {
		return fmt.Errorf("decode row of %q: %w", t.Desc.Name, err)
	}
	return nil
}

// DecodeKeyText shows the columns and values of an encoded key, for messages.
func (t *Table) DecodeKeyText(key []byte) (columns, values string) {
	for n, i := range t.Key {
		if n > 0 {
			columns += ", "
			values += ", "
		}
		columns += t.Columns[i].Name
		v, rest, err := datum.DecodeKey(t.Columns[i].Type, key)
		if err != nil {
			return columns, "?"
		}
		values += v.Text()
		key = rest
	}
	return columns, values
}
