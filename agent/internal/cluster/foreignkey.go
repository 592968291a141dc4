package cluster

import (
	"fmt"
	"slices"
)

// What becomes of rows that reference one that goes, or whose key changes. NoAction refuses
// that at the end of the statement, or of the transaction, Restrict at once.
const (
	NoAction   = ""
	Restrict   = "RESTRICT"
	Cascade    = "CASCADE"
	SetNull    = "SET NULL"
	SetDefault = "SET DEFAULT"
)

// ForeignKey says that some columns of each row are null, or the key of a row of a table.
type ForeignKey struct {
	// ID is its own among all objects: catalogs name it by that.
	ID      ObjectID   `json:"id"`
	Name    string     `json:"name"`
	Columns []ColumnID `json:"columns"`
	// Table is the one that is referenced, and Referenced are its columns, one for each of
	// Columns: those of its primary key, or of a unique index.
	Table      ObjectID   `json:"table"`
	Referenced []ColumnID `json:"referenced"`
	OnDelete   string     `json:"onDelete,omitempty"`
	OnUpdate   string     `json:"onUpdate,omitempty"`
	// SetColumns are those that ON DELETE SET NULL or SET DEFAULT sets; none: all.
	SetColumns []ColumnID `json:"setColumns,omitempty"`
	// Full is MATCH FULL: all columns are null, or none is.
	Full bool `json:"full,omitempty"`
	// Deferrable says that SET CONSTRAINTS may have it be looked at by COMMIT, Deferred that
	// it is from the first.
	Deferrable bool `json:"deferrable,omitempty"`
	Deferred   bool `json:"deferred,omitempty"`
	// NotValid says that nobody has looked at the rows that were there before.
	NotValid bool         `json:"notValid,omitempty"`
	State    ElementState `json:"state,omitempty"`
	// Leaving: see Check.
	Leaving bool   `json:"leaving,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// Deferral is when a constraint is looked at.
type Deferral struct {
	ID                   ObjectID
	Deferrable, Deferred bool
}

// Deferral is when the foreign key is looked at.
func (k *ForeignKey) Deferral() Deferral { return Deferral{k.ID, k.Deferrable, k.Deferred} }

// Deferral is when it is looked at whether no two rows have equal values.
func (x *Index) Deferral() Deferral { return Deferral{x.ID, x.Deferrable, x.Deferred} }

// Referrer is a foreign key that references a table: who takes rows of that away looks at
// those of Table.
type Referrer struct {
	Table ObjectID `json:"table"`
	Key   ObjectID `json:"key"`
}

// ForeignKey returns the foreign key called name.
func (c *Collection) ForeignKey(name string) (*ForeignKey, bool) {
	i := slices.IndexFunc(c.ForeignKeys, func(k ForeignKey) bool { return k.Name == name && !k.Leaving })
	if i < 0 {
		return nil, false
	}
	return &c.ForeignKeys[i], true
}

// ShownForeignKeys are the foreign keys that are not leaving.
func (c *Collection) ShownForeignKeys() []ForeignKey {
	return slices.DeleteFunc(slices.Clone(c.ForeignKeys), func(k ForeignKey) bool { return k.Leaving })
}

// Uses reports whether the foreign key is of the column.
func (k *ForeignKey) Uses(id ColumnID) bool { return slices.Contains(k.Columns, id) }

func (c *Collection) validateForeignKeys(columns map[ColumnID]bool) error {
	names := map[string]bool{}
	for i := range c.ForeignKeys {
		k := &c.ForeignKeys[i]
		switch {
		case k.ID == 0 || k.Name == "" || k.Table == 0:
			return fmt.Errorf("the foreign key %q has no id, no name or references nothing", k.Name)
		case names[k.Name] && !k.Leaving:
			return fmt.Errorf("the foreign key %q is listed twice", k.Name)
		case len(k.Columns) == 0 || len(k.Columns) != len(k.Referenced):
			return fmt.Errorf("the foreign key %q references %d columns by %d", k.Name, len(k.Referenced), len(k.Columns))
		}
		names[k.Name] = names[k.Name] || !k.Leaving
		for _, id := range slices.Concat(k.Columns, k.SetColumns) {
			if !columns[id] {
				return fmt.Errorf("the foreign key %q is of the unknown column %d", k.Name, id)
			}
		}
	}
	return nil
}
