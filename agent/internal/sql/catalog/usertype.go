package catalog

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// firstOID is the OID of the object 0: PostgreSQL's first one for what users make.
const firstOID = 16384

// OID is the OID of an object.
func OID(id cluster.ObjectID) uint32 { return firstOID + uint32(id) } //nolint:gosec // ids are few

// UserType finds a domain, an enum or a composite type.
func (s Scope) UserType(name syntax.Name) (*cluster.Object, bool) {
	return s.within(cluster.TypeNames, name)
}

// UserTypes are those of the database, by name.
func (s Scope) UserTypes() []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool {
		return (o.Domain != nil || o.Enum != nil || o.Composite != nil) && s.inDatabase(o)
	})
}

// TypeByOID finds the type of a parameter that a client announces.
func (s Scope) TypeByOID(oid uint32) (datum.Type, bool) {
	if t, ok := datum.TypeByOID(oid); ok {
		return t, true
	}
	for _, o := range s.UserTypes() {
		array := oid != OID(o.ID)
		switch {
		case o.Composite != nil && array && oid == OID(o.Composite.Array):
			return s.CompositeType(o) | datum.Array, true
		case o.Composite != nil && !array:
			return s.CompositeType(o), true
		case o.Enum != nil && array && oid == OID(o.Enum.Array):
			return s.EnumType(o) | datum.Array, true
		case o.Enum != nil && !array:
			return s.EnumType(o), true
		case o.Domain != nil && !array:
			return datum.TypeByName(o.Domain.Type)
		}
	}
	of := s.objects(func(o *cluster.Object) bool {
		of := OID(o.ID)
		return (o.Collection != nil || o.View != nil) && (oid == RowTypeOID(of) || oid == RowArrayOID(of))
	})
	if len(of) == 0 {
		return datum.Unknown, false
	}
	t, ok := s.RowType(of[0])
	if oid == RowArrayOID(OID(of[0].ID)) {
		t |= datum.Array
	}
	return t, ok
}

// EnumType is the type of the values of an enum.
func (s Scope) EnumType(o *cluster.Object) datum.Type {
	return datum.TypeOfEnum(datum.EnumType{ID: o.ID, OID: OID(o.ID), ArrayOID: OID(o.Enum.Array), Name: s.qualified(o), Labels: o.Enum.Labels})
}

// Resolved is what a written type means.
type Resolved struct {
	Type     datum.Type
	Modifier int32
	// User is the domain, the enum or the composite type that it is; nil: PostgreSQL's own.
	User   *cluster.Object
	Schema string // of User
}

// ResolveType finds a written type.
func (s Scope) ResolveType(n syntax.TypeName) (Resolved, error) {
	if n.Schema == "" {
		t, modifier, err := ResolveType(n)
		if err == nil || err.Code != "42704" {
			return Resolved{Type: t, Modifier: modifier}, plain(err)
		}
	}
	o, ok := s.UserType(syntax.Name{Schema: n.Schema, Name: n.Name})
	if !ok {
		return Resolved{}, noType(syntax.Name{Schema: n.Schema, Name: n.Name, Position: n.Position})
	}
	schema := ""
	if p, ok := s.Object(o.Parent); ok {
		schema = p.Name
	}
	if len(n.Modifiers) > 0 {
		return Resolved{}, &syntax.Error{Code: "42601", Message: fmt.Sprintf("type modifier is not allowed for type %q", n.Name), Position: n.Position}
	}
	if o.Domain == nil {
		t := s.madeType(o)
		if n.Array {
			t |= datum.Array
		}
		return Resolved{Type: t, Modifier: -1, User: o, Schema: schema}, nil
	}
	if n.Array {
		return Resolved{}, unsupportedAt("an array of a domain", "Use an array of the type that it is of.", n.Position)
	}
	t, ok := datum.TypeByName(o.Domain.Type)
	if !ok {
		return Resolved{}, unknownType(o.Domain.Type)
	}
	return Resolved{Type: t, Modifier: o.Domain.Modifier, User: o, Schema: schema}, nil
}

// plain is an error that may be none.
func plain(err *syntax.Error) error {
	if err == nil {
		return nil
	}
	return err
}

func noType(name syntax.Name) *syntax.Error {
	full := name.Name
	if name.Schema != "" {
		full = name.Schema + "." + name.Name
	}
	return &syntax.Error{Code: "42704", Message: fmt.Sprintf("type %q does not exist", full), Position: name.Position}
}

func unknownType(name string) error {
	return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("the type %q is not known", name), Hint: "A newer version of NodeDB made it: upgrade this node."}
}

// typeOf is the type of a column's values; user finds types.
func typeOf(c *cluster.Column, user func(cluster.ObjectID) (*cluster.Object, bool), made func(*cluster.Object) datum.Type) (datum.Type, *cluster.Object, bool) {
	if c.UserType == 0 {
		t, ok := datum.TypeByName(c.Type)
		return t, nil, ok
	}
	o, ok := user(c.UserType)
	switch {
	case !ok:
		return datum.Unknown, nil, false
	case o.Domain != nil:
		t, ok := datum.TypeByName(c.Type)
		return t, o, ok
	case o.Enum == nil && o.Composite == nil:
		return datum.Unknown, nil, false
	case arrayMark(c.Type) != "":
		return made(o) | datum.Array, o, true
	}
	return made(o), o, true
}

// enumType is what Column.Type says of an enum.
const enumType = "enum"

// typeOf is the type of a column's values.
func (s Scope) typeOf(c *cluster.Column) (datum.Type, bool) {
	t, _, ok := typeOf(c, s.Object, s.madeType)
	return t, ok
}

// columnType is what a column's definition says of its type.
func (s Scope) columnType(n syntax.TypeName) (cluster.Column, error) {
	r, err := s.ResolveType(n)
	if err != nil {
		if row, failed := s.ResolveAnyType(n); failed == nil {
			return cluster.Column{}, unsupportedAt("a column or an attribute of the type of rows of "+row.User.Name, "Make a composite type with these fields, or use jsonb.", n.Position)
		}
		return cluster.Column{}, err
	}
	out := cluster.Column{Type: r.Type.String(), Modifier: r.Modifier}
	if r.User != nil {
		out.UserType = r.User.ID
		if r.User.Domain == nil {
			out.Type = userTypeName(r)
		}
		return out, nil
	}
	return out, storable(r.Type, r.Modifier, n.Position)
}

// userTypeName is what Column.Type says of a type of users that is no domain.
func userTypeName(r Resolved) string {
	out := enumType
	if r.User.Composite != nil {
		out = compositeType
	}
	if r.Type.IsArray() {
		out += "[]"
	}
	return out
}

// isEnum reports whether a written type is an enum or a composite type.
func (s Scope) isEnum(n syntax.TypeName) bool {
	r, err := s.ResolveType(n)
	return err == nil && r.User != nil && (r.User.Enum != nil || r.User.Composite != nil)
}

// usersOf are the tables with columns of a type.
func (s Scope) usersOf(id cluster.ObjectID) []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool {
		return o.Collection != nil && slices.ContainsFunc(o.Collection.Columns, func(c cluster.Column) bool { return c.UserType == id })
	})
}

// plainColumn describes a column of a type.
func plainColumn(name string, t datum.Type, modifier int32) cluster.Column {
	out := cluster.Column{Name: name, Type: t.String(), Modifier: modifier}
	if t.Elem().IsEnum() {
		out.Type, out.UserType = enumType+arrayMark(out.Type), t.EnumType().ID
	}
	if t.Elem().IsComposite() {
		out.Type, out.UserType = compositeType+arrayMark(out.Type), t.CompositeType().ID
	}
	return out
}
