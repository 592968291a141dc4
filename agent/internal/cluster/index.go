package cluster

import (
	"errors"
	"fmt"
	"slices"
)

// Index is a secondary index of a table: a collection of entries, under its own id, in the
// pool of the table.
type Index struct {
	ID   ObjectID `json:"id"`
	Name string   `json:"name"`
	// Method is InvertedMethod for an index with several entries of a row, or HashMethod; "":
	// btree.
	Method string `json:"method,omitempty"`
	// Unique says that no two rows have equal values, nulls being equal to nothing unless
	// NullsNotDistinct says so.
	Unique           bool `json:"unique,omitempty"`
	NullsNotDistinct bool `json:"nullsNotDistinct,omitempty"`
	// Deferrable says that rows may have equal values until the end of a statement, or of a
	// transaction: entries have the primary key in theirs. Deferred: see ForeignKey.
	Deferrable bool `json:"deferrable,omitempty"`
	Deferred   bool `json:"deferred,omitempty"`
	// Constraint is that of the same name which the index is of: UniqueConstraint,
	// PrimaryConstraint; "": of none.
	Constraint string        `json:"constraint,omitempty"`
	Columns    []IndexColumn `json:"columns"`
	Include    []ColumnID    `json:"include,omitempty"`
	// Where is the SQL text of what holds for the rows that have an entry; "": all have.
	Where string       `json:"where,omitempty"`
	State ElementState `json:"state,omitempty"`
	// Since is the time, as a timestamp, from which on the entries say what the rows say; 0:
	// always, there were none before the index. Reads as of before find too few.
	Since uint64 `json:"since,omitempty"`
	// Dropped says that it is no more, but for those who write: they maintain it until nobody
	// reads it. Its name is free.
	Dropped bool   `json:"dropped,omitempty"`
	Comment string `json:"comment,omitempty"`
	// ConstraintComment is what is said of the constraint.
	ConstraintComment string `json:"constraintComment,omitempty"`
}

// InvertedMethod is Index.Method of an inverted index: PostgreSQL's name of such.
const InvertedMethod = "gin"

// HashMethod is Index.Method of one that was asked for as such: it is as a btree is, and only
// called so.
const HashMethod = "hash"

// UniqueConstraint and PrimaryConstraint are Index.Constraint of a UNIQUE constraint, and of
// a primary key that does not say where rows are.
const UniqueConstraint, PrimaryConstraint = "unique", "primary"

// PrimaryIndex is the index that the primary key is; nil: it is none.
func (c *Collection) PrimaryIndex() *Index {
	for i := range c.Indexes {
		if x := &c.Indexes[i]; x.Constraint == PrimaryConstraint && !x.Dropped {
			return x
		}
	}
	return nil
}

// PrimaryColumns are those of the primary key that a constraint says; none: none says one.
func (c *Collection) PrimaryColumns() []ColumnID {
	if c.KeyName != "" {
		return slices.Clone(c.PrimaryKey)
	}
	var out []ColumnID
	if x := c.PrimaryIndex(); x != nil {
		for _, column := range x.Columns {
			out = append(out, column.Column)
		}
	}
	return out
}

// IndexColumn is one of what an index is over.
type IndexColumn struct {
	Column ColumnID `json:"column,omitempty"` // 0: Expression
	// Expression is SQL text over the columns of the table.
	Expression string `json:"expression,omitempty"`
	// OpClass is "jsonb_path_ops" of an inverted index that has no entries of keys alone.
	OpClass    string `json:"opClass,omitempty"`
	Descending bool   `json:"descending,omitempty"`
	NullsFirst bool   `json:"nullsFirst,omitempty"`
}

// Index returns the index called name.
func (c *Collection) Index(name string) (*Index, bool) {
	for i := range c.Indexes {
		if c.Indexes[i].Name == name && !c.Indexes[i].Dropped {
			return &c.Indexes[i], true
		}
	}
	return nil, false
}

// Names reports whether the index is over the column, or has it included.
func (x *Index) Names(id ColumnID) bool {
	for _, c := range x.Columns {
		if c.Column == id {
			return true
		}
	}
	for _, c := range x.Include {
		if c == id {
			return true
		}
	}
	return false
}

func (c *Collection) validateIndexes() error {
	ids, names := map[ObjectID]bool{}, map[string]bool{}
	for i := range c.Indexes {
		x := &c.Indexes[i]
		switch {
		case x.ID == 0 || ids[x.ID]:
			return fmt.Errorf("index %q has no id, or that of another", x.Name)
		case x.Name == "" || names[x.Name] && !x.Dropped:
			return fmt.Errorf("index %d has no name, or that of another", x.ID)
		case len(x.Columns) == 0:
			return fmt.Errorf("index %q is over nothing", x.Name)
		case x.State != "" && x.State != ElementDeleteOnly && x.State != ElementWriteOnly:
			return fmt.Errorf("index %q is in the unknown state %q", x.Name, x.State)
		}
		ids[x.ID], names[x.Name] = true, names[x.Name] || !x.Dropped
		for _, k := range x.Columns {
			if _, ok := c.ColumnByID(k.Column); !ok && k.Expression == "" {
				return fmt.Errorf("index %q is over column %d, which is not there", x.Name, k.Column)
			}
		}
		for _, id := range x.Include {
			if _, ok := c.ColumnByID(id); !ok {
				return fmt.Errorf("index %q includes column %d, which is not there", x.Name, id)
			}
		}
	}
	return nil
}

// followsIndexes: entries are read as what they were written as.
func (c *Collection) followsIndexes(old *Collection) error {
	for i := range c.Indexes {
		x := &c.Indexes[i]
		for j := range old.Indexes {
			was := &old.Indexes[j]
			if was.ID != x.ID {
				continue
			}
			if len(was.Columns) != len(x.Columns) || len(was.Include) != len(x.Include) || was.Unique != x.Unique || was.Deferrable != x.Deferrable || was.Method != x.Method || was.NullsNotDistinct != x.NullsNotDistinct {
				return fmt.Errorf("index %q is another under the same id", x.Name)
			}
			for k := range x.Columns {
				if x.Columns[k].Column != was.Columns[k].Column || x.Columns[k].OpClass != was.Columns[k].OpClass || x.Columns[k].Descending != was.Columns[k].Descending || x.Columns[k].NullsFirst != was.Columns[k].NullsFirst {
					return errors.New("the columns of an index stay as they are")
				}
			}
		}
	}
	return nil
}

// Texts are the expressions of the index.
func (x *Index) Texts() []*string {
	out := []*string{&x.Where}
	for i := range x.Columns {
		out = append(out, &x.Columns[i].Expression)
	}
	return slices.DeleteFunc(out, func(text *string) bool { return *text == "" })
}
