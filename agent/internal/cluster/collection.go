package cluster

import (
	"errors"
	"fmt"
	"slices"
)

// Collection is what an object that has rows says of them.
type Collection struct {
	Pool PoolID `json:"pool,omitempty"` // where its rows live
	// Rows is the id under which they do, since they were moved there; 0: that of the object.
	Rows ObjectID `json:"rows,omitempty"`
	// Since is the time, as a timestamp, from which on they are there: as of before they are
	// in Left, for as long as that is kept.
	Since uint64 `json:"since,omitempty"`
	Left  *Place `json:"left,omitempty"`
	// LeftTypes says that columns had other types there.
	LeftTypes bool `json:"leftTypes,omitempty"`
	// Move is its way to another pool; nil: it stays.
	Move    *Move    `json:"move,omitempty"`
	Columns []Column `json:"columns"`
	// PrimaryKey lists column ids in key order; never empty.
	PrimaryKey []ColumnID `json:"primaryKey"`
	// KeyName is the name of the constraint that these columns are the primary key by, which
	// is one of a relation, too; "": by none, they only say where rows are.
	KeyName    string   `json:"keyName,omitempty"`
	KeyComment string   `json:"keyComment,omitempty"`
	NextColumn ColumnID `json:"nextColumn"`
	// Schemaless says that it was made without columns: rows are documents, whose fields
	// statements name as columns.
	Schemaless bool `json:"schemaless,omitempty"`
	// Checks are what each row has to satisfy, by name.
	Checks []Check `json:"checks,omitempty"`
	// RowSecurity says that rows are seen and written as Policies say, but for the owner,
	// unless ForceRowSecurity; without policies, not at all.
	RowSecurity      bool     `json:"rowSecurity,omitempty"`
	ForceRowSecurity bool     `json:"forceRowSecurity,omitempty"`
	Policies         []Policy `json:"policies,omitempty"` // by name
	// CallsRevision counts what the functions that its expressions call were changed to, so
	// that a change of one is one of the table.
	CallsRevision uint64 `json:"callsRevision,omitempty"`
	// Indexes are those beside the primary key, oldest first.
	Indexes []Index `json:"indexes,omitempty"`
	// Triggers are in the order in which they fire: by name.
	Triggers []TableTrigger `json:"triggers,omitempty"`
	// ForeignKeys are by name. ReferencedBy are those of all tables that reference this one.
	ForeignKeys  []ForeignKey `json:"foreignKeys,omitempty"`
	ReferencedBy []Referrer   `json:"referencedBy,omitempty"`
	// OnCommit is what COMMIT does to a temporary table: OnCommitDrop or OnCommitDelete; "":
	// nothing.
	OnCommit string `json:"onCommit,omitempty"`
}

// What COMMIT does to temporary tables that ask for it.
const (
	OnCommitDrop   = "DROP"
	OnCommitDelete = "DELETE ROWS"
)

// Column describes one column.
type Column struct {
	ID   ColumnID `json:"id"`
	Name string   `json:"name"`
	// Type is PostgreSQL's name of the type: bool int2 int4 int8 float4 float8
	// numeric text varchar bytea uuid date timestamp timestamptz jsonb.
	Type string `json:"type"`
	// UserType is the domain, the enum or the composite type that it is of. Type is that of the
	// domain, or "enum", of arrays of it "enum[]", or "composite", or "composite[]".
	UserType ObjectID `json:"userType,omitempty"`
	// Modifier is PostgreSQL's typmod (-1: none), e.g. of varchar(20), numeric(10,2).
	Modifier int32 `json:"modifier"`
	NotNull  bool  `json:"notNull,omitempty"`
	// NotNullState says that rows may still have nulls, though none are written any more.
	NotNullState ElementState `json:"notNullState,omitempty"`
	// Default is the SQL text of the expression. Sequences stand in it by their ids:
	// nextval(104).
	Default string `json:"default,omitempty"`
	// Identity is the sequence that gives the values of GENERATED ... AS IDENTITY, which
	// the default takes; 0: there is none.
	Identity ObjectID `json:"identity,omitempty"`
	// Always, of an identity, says that no other values are taken.
	Always bool `json:"always,omitempty"`
	// Generated is the SQL text that computes the value whenever a row is written; "": it
	// is given.
	Generated string `json:"generated,omitempty"`
	Hidden    bool   `json:"hidden,omitempty"` // the generated key of a collection without one
	// Missing is the value, as rows hold it, in rows that were written before the column
	// was added; absent: null.
	Missing []byte `json:"missing,omitempty"`
	Comment string `json:"comment,omitempty"`
	// ACL is what was granted on the column alone.
	ACL ACL `json:"acl,omitempty"`
}

// Policy is one of row level security.
type Policy struct {
	Name string `json:"name"`
	// Command is ALL, SELECT, INSERT, UPDATE or DELETE.
	Command     string   `json:"command"`
	Restrictive bool     `json:"restrictive,omitempty"`
	Roles       []string `json:"roles"` // "": PUBLIC
	// Using and Check are SQL text in which columns stand by their names alone; "": none.
	Using string `json:"using,omitempty"`
	Check string `json:"check,omitempty"`
}

// Check is a CHECK constraint.
type Check struct {
	// ID is its own among all objects: catalogs name it by that.
	ID   ObjectID `json:"id"`
	Name string   `json:"name"`
	// Expression is SQL text in which columns stand by their names alone.
	Expression string `json:"expression"`
	// Columns are those that the expression names, in its order: it goes with them.
	Columns []ColumnID `json:"columns,omitempty"`
	// NoInherit was said, and means nothing without inheritance.
	NoInherit bool         `json:"noInherit,omitempty"`
	State     ElementState `json:"state,omitempty"`
	// Leaving says that it goes once what comes in its stead has been proved: writers obey it,
	// nobody sees it, and its name is free.
	Leaving bool   `json:"leaving,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// Check returns the CHECK constraint called name.
func (c *Collection) Check(name string) (*Check, bool) {
	for i := range c.Checks {
		if c.Checks[i].Name == name && !c.Checks[i].Leaving {
			return &c.Checks[i], true
		}
	}
	return nil, false
}

// ShownChecks are the CHECK constraints that are not leaving.
func (c *Collection) ShownChecks() []Check {
	return slices.DeleteFunc(slices.Clone(c.Checks), func(k Check) bool { return k.Leaving })
}

// Column returns the column called name.
func (c *Collection) Column(name string) (*Column, bool) {
	for i := range c.Columns {
		if c.Columns[i].Name == name {
			return &c.Columns[i], true
		}
	}
	return nil, false
}

// ColumnByID returns the column with the id.
func (c *Collection) ColumnByID(id ColumnID) (*Column, bool) {
	for i := range c.Columns {
		if c.Columns[i].ID == id {
			return &c.Columns[i], true
		}
	}
	return nil, false
}

// Follows says what is wrong with the collection as what becomes of old: rows of old would
// be read as what they are not.
func (c *Collection) Follows(old *Collection) error {
	if c.NextColumn < old.NextColumn {
		return fmt.Errorf("the next column id goes back from %d to %d", old.NextColumn, c.NextColumn)
	}
	for _, f := range c.Columns {
		if _, was := old.ColumnByID(f.ID); !was && f.ID < old.NextColumn {
			return fmt.Errorf("column %q has the id %d of one that was dropped", f.Name, f.ID)
		}
	}
	if !slices.Equal(c.PrimaryKey, old.PrimaryKey) {
		return errors.New("its primary key stays as it is")
	}
	return c.followsIndexes(old)
}

func (c *Collection) validate() error {
	ids, names := map[ColumnID]bool{}, map[string]bool{}
	for _, f := range c.Columns {
		switch {
		case f.ID == 0 || f.ID >= c.NextColumn:
			return fmt.Errorf("column %q has id %d, which must be set and below the next id %d", f.Name, f.ID, c.NextColumn)
		case f.Name == "" || f.Type == "":
			return fmt.Errorf("column %d has no name or no type", f.ID)
		case ids[f.ID] || names[f.Name]:
			return fmt.Errorf("column %q is listed twice", f.Name)
		}
		ids[f.ID], names[f.Name] = true, true
	}
	if len(c.PrimaryKey) == 0 {
		return errors.New("it has no primary key")
	}
	keyed := map[ColumnID]bool{}
	for _, id := range c.PrimaryKey {
		if !ids[id] || keyed[id] {
			return fmt.Errorf("primary key column %d is unknown or listed twice", id)
		}
		keyed[id] = true
	}
	if err := c.validateIndexes(); err != nil {
		return err
	}
	return errors.Join(c.validateChecks(ids), c.validateTriggers(ids), c.validateForeignKeys(ids), c.validateMove())
}

func (c *Collection) validateChecks(columns map[ColumnID]bool) error {
	names := map[string]bool{}
	for _, k := range c.Checks {
		switch {
		case k.ID == 0 || k.Name == "" || k.Expression == "":
			return fmt.Errorf("the constraint %q has no id, no name or no expression", k.Name)
		case names[k.Name] && !k.Leaving:
			return fmt.Errorf("the constraint %q is listed twice", k.Name)
		}
		names[k.Name] = names[k.Name] || !k.Leaving
		for _, id := range k.Columns {
			if !columns[id] {
				return fmt.Errorf("the constraint %q names the unknown column %d", k.Name, id)
			}
		}
	}
	return nil
}
