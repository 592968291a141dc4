package cluster

import (
	"reflect"
	"slices"
)

// TableChange is what a schema change makes of a table: elements that its descriptor has
// in an intermediate state (ElementState), which become public, or go.
type TableChange struct {
	Table ObjectID `json:"table"`
	Name  string   `json:"name"` // of the table, when it began
	// NotNull are columns that are to be NOT NULL, and Added those of them that are new:
	// they go if it comes to nothing.
	NotNull []ColumnID `json:"notNull,omitempty"`
	Added   []ColumnID `json:"added,omitempty"`
	// Checks are constraints that are to hold, by their ids.
	Checks []ObjectID `json:"checks,omitempty"`
	// ForeignKeys are those that are to hold, by their ids; Validate says that writers keep
	// them already.
	ForeignKeys []ObjectID `json:"foreignKeys,omitempty"`
	Validate    bool       `json:"validate,omitempty"`
	// Indexes are those that are to be filled, by their ids.
	Indexes []ObjectID `json:"indexes,omitempty"`
	// Drops are indexes that go once nobody reads them, and Gone columns that go with them.
	Drops []ObjectID `json:"drops,omitempty"`
	Gone  []ColumnID `json:"gone,omitempty"`
	// Leaves are constraints, and indexes of such among Drops, that stay if the change comes
	// to nothing, by their ids: it puts others in their stead.
	Leaves []ObjectID `json:"leaves,omitempty"`
	// Repairs are indexes whose entries are compared with the rows, and made right. Nothing
	// else is changed then.
	Repairs []ObjectID `json:"repairs,omitempty"`
	// Move says that it goes to another pool, as its descriptor says, and From and To what
	// the pools are called. Nothing else is changed then. Converts says that it stays in its
	// pool, and that its rows are written anew with columns of other types.
	Move     bool   `json:"move,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Converts bool   `json:"converts,omitempty"`
}

// Proves reports whether the change may turn out to be one that the rows do not allow.
func (t *TableChange) Proves() bool {
	return len(t.Indexes) > 0 || t.Validates() || t.Move || len(t.Repairs) > 0
}

// Validates reports whether rows are to be looked at, and nothing is written.
func (t *TableChange) Validates() bool {
	return len(t.NotNull)+len(t.Checks)+len(t.ForeignKeys) > 0
}

// With is the change that makes what t and other make, which are of the same table.
func (t *TableChange) With(other *TableChange) *TableChange {
	out := *t
	out.NotNull, out.Added = slices.Concat(t.NotNull, other.NotNull), slices.Concat(t.Added, other.Added)
	out.Checks, out.ForeignKeys = slices.Concat(t.Checks, other.Checks), slices.Concat(t.ForeignKeys, other.ForeignKeys)
	out.Indexes, out.Drops, out.Gone = slices.Concat(t.Indexes, other.Indexes), slices.Concat(t.Drops, other.Drops), slices.Concat(t.Gone, other.Gone)
	out.Leaves, out.Repairs = slices.Concat(t.Leaves, other.Leaves), slices.Concat(t.Repairs, other.Repairs)
	return &out
}

// Of is what is left of the change of a table that has become rows since.
func (t *TableChange) Of(rows *Collection) *TableChange {
	out := *t
	out.NotNull = slices.Clone(t.NotNull)
	slices.Sort(out.NotNull)
	out.NotNull = slices.DeleteFunc(slices.Compact(out.NotNull), func(id ColumnID) bool {
		c, ok := rows.ColumnByID(id)
		return !ok || c.NotNullState == ""
	})
	out.Checks = slices.DeleteFunc(slices.Clone(t.Checks), func(id ObjectID) bool {
		return !slices.ContainsFunc(rows.Checks, func(k Check) bool { return k.ID == id && k.State != "" })
	})
	out.ForeignKeys = slices.DeleteFunc(slices.Clone(t.ForeignKeys), func(id ObjectID) bool {
		return !slices.ContainsFunc(rows.ForeignKeys, func(k ForeignKey) bool { return k.ID == id && k.State != "" })
	})
	gone := func(id ObjectID) bool {
		return !slices.ContainsFunc(rows.Indexes, func(x Index) bool { return x.ID == id })
	}
	out.Repairs = slices.DeleteFunc(slices.Clone(t.Repairs), gone)
	out.Move = t.Move && rows.Move != nil
	out.Indexes, out.Drops = slices.DeleteFunc(slices.Clone(t.Indexes), gone), slices.DeleteFunc(slices.Clone(t.Drops), gone)
	return &out
}

// Failure is an error of a statement, in PostgreSQL's fields.
type Failure struct {
	Code       string `json:"code"` // SQLSTATE
	Message    string `json:"message"`
	Detail     string `json:"detail,omitempty"`
	Schema     string `json:"schema,omitempty"`
	Table      string `json:"table,omitempty"`
	Column     string `json:"column,omitempty"`
	Constraint string `json:"constraint,omitempty"`
	DataType   string `json:"dataType,omitempty"`
}

// SameElements reports whether two forms of a table have the same columns, constraints and
// indexes, in the same states.
func (c *Collection) SameElements(other *Collection) bool {
	return slices.EqualFunc(c.Columns, other.Columns, func(a, b Column) bool {
		return a.ID == b.ID && a.NotNull == b.NotNull && a.NotNullState == b.NotNullState
	}) && c.Pool == other.Pool && reflect.DeepEqual(c.Move, other.Move) && slices.EqualFunc(c.Checks, other.Checks, func(a, b Check) bool {
		return a.ID == b.ID && a.State == b.State && a.Leaving == b.Leaving
	}) &&
		slices.EqualFunc(c.ForeignKeys, other.ForeignKeys, func(a, b ForeignKey) bool {
			return a.ID == b.ID && a.State == b.State && a.NotValid == b.NotValid && a.Leaving == b.Leaving
		}) && slices.Equal(c.ReferencedBy, other.ReferencedBy) &&
		slices.EqualFunc(c.Indexes, other.Indexes, func(a, b Index) bool { return a.ID == b.ID && a.State == b.State && a.Dropped == b.Dropped })
}
