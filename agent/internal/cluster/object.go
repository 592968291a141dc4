package cluster

import (
	"errors"
	"fmt"
	"slices"
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
	// KindMaterializedView is a view that keeps rows, as a table does.
	KindMaterializedView ObjectKind = "materialized view"
	KindDomain           ObjectKind = "domain"
	KindEnum             ObjectKind = "enum"
	KindComposite        ObjectKind = "composite type"
	KindSchedule         ObjectKind = "schedule"
	KindFunction         ObjectKind = "function" // or a procedure
)

// NameSpace is a set of names in which each is taken once for each parent.
type NameSpace byte

// The name spaces.
const (
	DatabaseNames NameSpace = iota + 1
	SchemaNames
	RelationNames // what can stand in FROM, and indexes
	TypeNames     // domains, enums and composite types
	ScheduleNames
	FunctionNames // with the types of their arguments
)

// String names what has a name of the space.
func (s NameSpace) String() string {
	switch s {
	case DatabaseNames:
		return "database"
	case SchemaNames:
		return "schema"
	case TypeNames:
		return "type"
	case ScheduleNames:
		return "schedule"
	case FunctionNames:
		return "function"
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
	Owner string `json:"owner,omitempty"`
	// ACL is who may do what with it; nil: what DefaultACL says.
	ACL *ACL `json:"acl,omitempty"`
	// Defaults are the privileges on what is made in it, of databases and schemas.
	Defaults []DefaultPrivileges `json:"defaults,omitempty"`
	Version  uint64              `json:"version"` // rises with each change
	// Comment is that of COMMENT ON.
	Comment string `json:"comment,omitempty"`

	// Needs are the objects without which it cannot be, ascending.
	Needs []ObjectID `json:"needs,omitempty"`

	// Temporary says whose temporary objects a schema holds; nil: it is no such schema.
	Temporary *TemporaryOf `json:"temporary,omitempty"`

	// SessionSettings are what sessions in a database begin with, by the names of settings.
	SessionSettings map[string]string `json:"sessionSettings,omitempty"`

	Collection *Collection `json:"collection,omitempty"` // of tables and materialized views
	Sequence   *Sequence   `json:"sequence,omitempty"`
	View       *View       `json:"view,omitempty"`
	Domain     *Domain     `json:"domain,omitempty"`
	Enum       *Enum       `json:"enum,omitempty"`
	Composite  *Composite  `json:"composite,omitempty"`
	Schedule   *Schedule   `json:"schedule,omitempty"`
	Function   *Function   `json:"function,omitempty"`
}

// TemporaryOf is the session whose temporary objects a schema holds. It drops them at its end;
// what it has not dropped others do, once its node has not got it any more.
type TemporaryOf struct {
	Node NodeID `json:"node"`
	// PID is what its client knows the session by.
	PID uint32 `json:"pid,omitempty"`
}

// Names are the names that the object takes, its own first.
func (o *Object) Names() []ObjectName {
	switch o.Kind {
	case KindDatabase:
		return []ObjectName{{Space: DatabaseNames, Name: o.Name}}
	case KindSchema:
		return []ObjectName{{Parent: o.Parent, Space: SchemaNames, Name: o.Name}}
	case KindDomain, KindEnum, KindComposite:
		return []ObjectName{{Parent: o.Parent, Space: TypeNames, Name: o.Name}}
	case KindSchedule:
		return []ObjectName{{Parent: o.Parent, Space: ScheduleNames, Name: o.Name}}
	case KindFunction:
		return []ObjectName{{Parent: o.Parent, Space: FunctionNames, Name: Signature(o.Name, o.Function.Inputs())}}
	default:
		out := []ObjectName{{Parent: o.Parent, Space: RelationNames, Name: o.Name}}
		if o.Collection != nil {
			if name := o.Collection.KeyName; name != "" {
				out = append(out, ObjectName{Parent: o.Parent, Space: RelationNames, Name: name})
			}
			for i := range o.Collection.Indexes {
				if x := &o.Collection.Indexes[i]; !x.Dropped {
					out = append(out, ObjectName{Parent: o.Parent, Space: RelationNames, Name: x.Name})
				}
			}
		}
		return out
	}
}

// Validate says what is wrong with the object by itself.
func (o *Object) Validate() error {
	switch {
	case o.Name == "":
		return errors.New("it has no name")
	case (o.Kind == KindDatabase) != (o.Parent == 0):
		return errors.New("a database has no parent, and everything else has one")
	case (o.Kind == KindTable || o.Kind == KindMaterializedView) != (o.Collection != nil):
		return errors.New("a table or a materialized view has columns, and nothing else has")
	case (o.Kind == KindSequence) != (o.Sequence != nil):
		return errors.New("a sequence has numbers, and nothing else has")
	case (o.Kind == KindView || o.Kind == KindMaterializedView) != (o.View != nil):
		return errors.New("a view has a query, and nothing else has")
	case (o.Kind == KindDomain) != (o.Domain != nil), (o.Kind == KindEnum) != (o.Enum != nil), (o.Kind == KindComposite) != (o.Composite != nil):
		return errors.New("a type says what its values are, and nothing else does")
	case (o.Kind == KindSchedule) != (o.Schedule != nil):
		return errors.New("a schedule has times, and nothing else has")
	case o.Temporary != nil && (o.Kind != KindSchema || o.Temporary.Node == 0):
		return errors.New("a schema may hold the temporary objects of a node's session, and nothing else may")
	case (o.Kind == KindFunction) != (o.Function != nil):
		return errors.New("a function has a body, and nothing else has")
	}
	if err := o.validateAccess(); err != nil {
		return err
	}
	switch o.Kind {
	case KindDatabase, KindSchema:
		return nil
	case KindDomain:
		return o.Domain.validate()
	case KindEnum:
		return o.Enum.validate()
	case KindComposite:
		return o.Composite.validate()
	case KindTable:
		return o.Collection.validate()
	case KindSequence:
		return o.Sequence.validate()
	case KindView:
		return o.View.validate()
	case KindMaterializedView:
		return errors.Join(o.Collection.validate(), o.View.validate())
	case KindSchedule:
		return o.Schedule.validate()
	case KindFunction:
		return o.Function.validate()
	default:
		return fmt.Errorf("the kind %q is not known", o.Kind)
	}
}

// validateAccess says what is wrong with what roles may do with the object.
func (o *Object) validateAccess() error {
	if o.ACL != nil {
		if err := o.ACL.validate(AllPrivileges(o.Kind)); err != nil {
			return err
		}
	}
	if len(o.Defaults) > 0 && o.Kind != KindDatabase && o.Kind != KindSchema {
		return errors.New("only databases and schemas have default privileges")
	}
	for i := range o.Defaults {
		if err := o.Defaults[i].ACL.validate(AllPrivileges(o.Defaults[i].Kind)); err != nil {
			return err
		}
	}
	if o.Collection == nil {
		return nil
	}
	for i := range o.Collection.Columns {
		if err := o.Collection.Columns[i].ACL.validate(ColumnPrivileges); err != nil {
			return err
		}
	}
	return nil
}

// Roles are those that the object names: its owner, and those of its ACLs.
func (o *Object) Roles() []string {
	out := []string{o.Owner}
	add := func(names []string) {
		for _, name := range names {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	if o.ACL != nil {
		add(o.ACL.Roles())
	}
	for i := range o.Defaults {
		add(append(o.Defaults[i].ACL.Roles(), o.Defaults[i].Role))
	}
	if o.Collection != nil {
		for i := range o.Collection.Columns {
			add(o.Collection.Columns[i].ACL.Roles())
		}
		for i := range o.Collection.Policies {
			add(slices.DeleteFunc(slices.Clone(o.Collection.Policies[i].Roles), func(r string) bool { return r == "" }))
		}
	}
	return out
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
