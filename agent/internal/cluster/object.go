package cluster

import (
	"errors"
	"fmt"
)

// ObjectID identifies an object for ever: a database, a schema, or what is in one.
type ObjectID uint64

// The objects that a cluster begins with.
const (
	// MainDatabase is called nodedb, and MaintenanceDatabase postgres, as tools expect
	// one to be called that make others.
	MainDatabase        ObjectID = 1
	MainPublic          ObjectID = 2 // the schema public of MainDatabase
	MaintenanceDatabase ObjectID = 3
	MaintenancePublic   ObjectID = 4
	// FirstObject is the first id that is given out.
	FirstObject ObjectID = 100
)

// ObjectKind says what an object is.
type ObjectKind string

// The kinds of objects.
const (
	KindDatabase ObjectKind = "database"
	KindSchema   ObjectKind = "schema"
	KindTable    ObjectKind = "table"
	KindSequence ObjectKind = "sequence"
	KindView     ObjectKind = "view"
)

// NameSpace is a set of names in which each is taken once for each parent.
type NameSpace byte

// The name spaces.
const (
	DatabaseNames NameSpace = iota + 1
	SchemaNames
	RelationNames // what can stand in FROM, and indexes
)

// String names what has a name of the space.
func (s NameSpace) String() string {
	switch s {
	case DatabaseNames:
		return "database"
	case SchemaNames:
		return "schema"
	default:
		return "relation"
	}
}

// ObjectName is how an object is found.
type ObjectName struct {
	Parent ObjectID // 0 of databases
	Space  NameSpace
	Name   string
}

// Object is what can be made, altered and dropped by SQL.
type Object struct {
	ID ObjectID `json:"id"`
	// Parent is the database of a schema, and the schema of what is in one; 0 of a
	// database.
	Parent ObjectID   `json:"parent,omitempty"`
	Kind   ObjectKind `json:"kind"`
	Name   string     `json:"name"`
	// Owner is the name of the user whose it is.
	Owner   string `json:"owner,omitempty"`
	Version uint64 `json:"version"` // rises with each change
	// Comment is that of COMMENT ON.
	Comment string `json:"comment,omitempty"`

	// Needs are the objects without which it cannot be, ascending.
	Needs []ObjectID `json:"needs,omitempty"`

	Collection *Collection `json:"collection,omitempty"` // of tables
	Sequence   *Sequence   `json:"sequence,omitempty"`
	View       *View       `json:"view,omitempty"`
}

// Names are the names that the object takes, its own first.
func (o *Object) Names() []ObjectName {
	switch o.Kind {
	case KindDatabase:
		return []ObjectName{{Space: DatabaseNames, Name: o.Name}}
	case KindSchema:
		return []ObjectName{{Parent: o.Parent, Space: SchemaNames, Name: o.Name}}
	default:
		return []ObjectName{{Parent: o.Parent, Space: RelationNames, Name: o.Name}}
	}
}

// Validate says what is wrong with the object by itself.
func (o *Object) Validate() error {
	switch {
	case o.Name == "":
		return errors.New("it has no name")
	case (o.Kind == KindDatabase) != (o.Parent == 0):
		return errors.New("a database has no parent, and everything else has one")
	case (o.Kind == KindTable) != (o.Collection != nil):
		return errors.New("a table has columns, and nothing else has")
	case (o.Kind == KindSequence) != (o.Sequence != nil):
		return errors.New("a sequence has numbers, and nothing else has")
	case (o.Kind == KindView) != (o.View != nil):
		return errors.New("a view has a query, and nothing else has")
	}
	switch o.Kind {
	case KindDatabase, KindSchema:
		return nil
	case KindTable:
		return o.Collection.validate()
	case KindSequence:
		return o.Sequence.validate()
	case KindView:
		return o.View.validate()
	default:
		return fmt.Errorf("the kind %q is not known", o.Kind)
	}
}

// ParentKind is the kind of the objects that those of kind k are in; "" of databases.
func (k ObjectKind) ParentKind() ObjectKind {
	switch k {
	case KindDatabase:
		return ""
	case KindSchema:
		return KindDatabase
	default:
		return KindSchema
	}
}
