package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Privileges are what a role may do with an object.
type Privileges uint16

// The privileges, in the order in which PostgreSQL lists them.
const (
	Insert Privileges = 1 << iota
	Select
	Update
	Delete
	Truncate
	References
	Trigger
	Execute
	Usage
	Create
	Temporary
	Connect
)

// privilegeLetters are those of aclitem, and privilegeNames those of SQL.
const privilegeLetters = "arwdDxtXUCTc"

var privilegeNames = []string{"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "EXECUTE", "USAGE", "CREATE", "TEMPORARY", "CONNECT"}

// ColumnPrivileges are those that can be granted on single columns.
const ColumnPrivileges = Insert | Select | Update | References

// PrivilegeNamed finds a privilege by its name in SQL.
func PrivilegeNamed(name string) (Privileges, bool) {
	name = strings.ToUpper(name)
	if name == "TEMP" {
		name = "TEMPORARY"
	}
	i := slices.Index(privilegeNames, name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// Names are the names in SQL.
func (p Privileges) Names() []string {
	var out []string
	for i, name := range privilegeNames {
		if p&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// AllPrivileges are those that there are for objects of the kind.
func AllPrivileges(kind ObjectKind) Privileges {
	switch kind {
	case KindDatabase:
		return Create | Temporary | Connect
	case KindSchema:
		return Usage | Create
	case KindSequence:
		return Select | Update | Usage
	case KindSchedule:
		return 0 // it is its owner's
	case KindFunction:
		return Execute
	default:
		return Insert | Select | Update | Delete | Truncate | References | Trigger
	}
}

// ACLItem says what a grantor has granted to a grantee.
type ACLItem struct {
	Grantee    string     `json:"grantee,omitempty"` // a role; "": PUBLIC
	Grantor    string     `json:"grantor"`
	Privileges Privileges `json:"privileges"`
	// Options are those of Privileges that the grantee may grant.
	Options Privileges `json:"options,omitempty"`
}

// ACL is who may do what with an object.
type ACL []ACLItem

// DefaultACL is that of an object for which nothing was granted or revoked.
func DefaultACL(kind ObjectKind, owner string) ACL {
	out := ACL{}
	if kind == KindDatabase {
		out = append(out, ACLItem{Grantor: owner, Privileges: Temporary | Connect})
	}
	if kind == KindFunction {
		out = append(out, ACLItem{Grantor: owner, Privileges: Execute})
	}
	return append(out, ACLItem{Grantee: owner, Grantor: owner, Privileges: AllPrivileges(kind)})
}

// PublicSchemaACL is what the schema public has at first: all may use it, and its owner
// may make things in it.
func PublicSchemaACL(owner string) *ACL {
	return &ACL{{Grantee: owner, Grantor: owner, Privileges: Usage | Create}, {Grantor: owner, Privileges: Usage}}
}

// Access is the object's ACL, the default if it has none of its own.
func (o *Object) Access() ACL {
	if o.ACL != nil {
		return *o.ACL
	}
	return DefaultACL(o.Kind, o.Owner)
}

// Holds are those of want that one of the roles has, PUBLIC's included.
func (a ACL) Holds(roles func(string) bool, want Privileges) Privileges {
	var out Privileges
	for i := range a {
		if a[i].Privileges&want != 0 && (a[i].Grantee == "" || roles(a[i].Grantee)) {
			out |= a[i].Privileges & want
		}
	}
	return out
}

// Options are the privileges that a role may grant by itself: all, if it is the owner.
func (a ACL) Options(role, owner string, all Privileges) Privileges {
	if role == owner {
		return all
	}
	var out Privileges
	for i := range a {
		if a[i].Grantee == role {
			out |= a[i].Options
		}
	}
	return out
}

// Errors of Grant and Revoke.
var (
	ErrGrantedBack = errors.New("grant options cannot be granted back to your own grantor")
	ErrDependent   = errors.New("dependent privileges exist")
)

// Grant adds an item. A grantor cannot get its own options from who has them from it.
func (a ACL) Grant(item ACLItem, owner string) (ACL, error) {
	if item.Options != 0 && item.Grantee != owner && item.Grantor != owner {
		// Without what the grantee has granted, the grantor must still have its options.
		rest := slices.Clone(a)
		for {
			i := slices.IndexFunc(rest, func(x ACLItem) bool { return x.Grantee == item.Grantee && x.Options&item.Options != 0 })
			if i < 0 {
				break
			}
			next, err := rest.Revoke(ACLItem{Grantee: item.Grantee, Grantor: rest[i].Grantor, Privileges: item.Options}, true, owner, true)
			if err != nil {
				return nil, err
			}
			rest = next
		}
		if item.Options&^rest.Options(item.Grantor, owner, ^Privileges(0)) != 0 {
			return nil, ErrGrantedBack
		}
	}
	out := slices.Clone(a)
	i := slices.IndexFunc(out, func(x ACLItem) bool { return x.Grantee == item.Grantee && x.Grantor == item.Grantor })
	if i < 0 {
		return append(out, item), nil
	}
	out[i].Privileges |= item.Privileges
	out[i].Options |= item.Options
	return out, nil
}

// Revoke takes privileges away that the item's grantor has granted to its grantee, or
// only the options to grant them. What others were granted by those goes too with cascade,
// else it is an error.
func (a ACL) Revoke(item ACLItem, onlyOptions bool, owner string, cascade bool) (ACL, error) {
	out := slices.Clone(a)
	i := slices.IndexFunc(out, func(x ACLItem) bool { return x.Grantee == item.Grantee && x.Grantor == item.Grantor })
	if i < 0 {
		return out, nil
	}
	lost := out[i].Options & item.Privileges
	if !onlyOptions {
		out[i].Privileges &^= item.Privileges
	}
	out[i].Options &^= item.Privileges
	if out[i].Privileges == 0 {
		out = slices.Delete(out, i, i+1)
	}
	return out.without(item.Grantee, lost, owner, cascade)
}

// without takes away what a role has granted by options that it has no more.
func (a ACL) without(grantor string, lost Privileges, owner string, cascade bool) (ACL, error) {
	if grantor == "" || grantor == owner {
		return a, nil
	}
	if lost &^= a.Options(grantor, owner, 0); lost == 0 {
		return a, nil
	}
	for {
		i := slices.IndexFunc(a, func(x ACLItem) bool { return x.Grantor == grantor && x.Privileges&lost != 0 })
		if i < 0 {
			return a, nil
		}
		if !cascade {
			return nil, ErrDependent
		}
		next, err := a.Revoke(ACLItem{Grantee: a[i].Grantee, Grantor: grantor, Privileges: lost}, false, owner, true)
		if err != nil {
			return nil, err
		}
		a = next
	}
}

// Owned is the ACL after the object went from one owner to another, who then has granted
// what the first had.
func (a ACL) Owned(from, to string) ACL {
	var out ACL
	for _, item := range a {
		if item.Grantee == from {
			item.Grantee = to
		}
		if item.Grantor == from {
			item.Grantor = to
		}
		i := slices.IndexFunc(out, func(x ACLItem) bool { return x.Grantee == item.Grantee && x.Grantor == item.Grantor })
		if i < 0 {
			out = append(out, item)
			continue
		}
		out[i].Privileges |= item.Privileges
		out[i].Options |= item.Options
	}
	return out
}

// Without is the ACL without what a role was granted, and what others have from it.
func (a ACL) Without(role, owner string) ACL {
	out := slices.Clone(a)
	for {
		i := slices.IndexFunc(out, func(x ACLItem) bool { return x.Grantee == role || x.Grantor == role && role != owner })
		if i < 0 {
			return out
		}
		next, err := out.Revoke(out[i], false, owner, true)
		if err != nil || len(next) >= len(out) {
			next = slices.Delete(slices.Clone(out), i, i+1)
		}
		out = next
	}
}

// Mentions reports whether the role is one of those that the ACL names.
func (a ACL) Mentions(role string) bool {
	return slices.ContainsFunc(a, func(x ACLItem) bool { return x.Grantee == role || x.Grantor == role })
}

// Roles are those that the ACL names, in its order.
func (a ACL) Roles() []string {
	var out []string
	for i := range a {
		for _, name := range []string{a[i].Grantee, a[i].Grantor} {
			if name != "" && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// Text is the item as PostgreSQL writes it: role=privileges/grantor.
func (i ACLItem) Text() string {
	var out strings.Builder
	out.WriteString(aclName(i.Grantee) + "=")
	for n := range len(privilegeLetters) {
		if i.Privileges&(1<<n) != 0 {
			out.WriteByte(privilegeLetters[n])
			if i.Options&(1<<n) != 0 {
				out.WriteByte('*')
			}
		}
	}
	out.WriteString("/" + aclName(i.Grantor))
	return out.String()
}

// aclName quotes the name of a role where PostgreSQL does.
func aclName(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return name
}

// validate says what is wrong with an ACL on an object of which there are privileges.
func (a ACL) validate(all Privileges) error {
	for i, item := range a {
		switch {
		case item.Grantor == "":
			return errors.New("a grant has no grantor")
		case item.Privileges == 0 || item.Privileges&^all != 0 || item.Options&^item.Privileges != 0:
			return fmt.Errorf("a grant to %q is of %v, with options %v", item.Grantee, item.Privileges.Names(), item.Options.Names())
		case item.Grantee == "" && item.Options != 0:
			return errors.New("PUBLIC cannot hold grant options")
		}
		for _, other := range a[:i] {
			if other.Grantee == item.Grantee && other.Grantor == item.Grantor {
				return fmt.Errorf("the grants of %q to %q are listed twice", item.Grantor, item.Grantee)
			}
		}
	}
	return nil
}

// DefaultPrivileges is what ALTER DEFAULT PRIVILEGES says of objects that a role will make:
// of a database those in all of its schemas, of a schema those in it.
type DefaultPrivileges struct {
	Role string     `json:"role"`
	Kind ObjectKind `json:"kind"`
	ACL  ACL        `json:"acl"`
}

// DefaultsFor are what the object has of them for a role and a kind; nil: nothing.
func (o *Object) DefaultsFor(role string, kind ObjectKind) *DefaultPrivileges {
	for i := range o.Defaults {
		if d := &o.Defaults[i]; d.Role == role && d.Kind == kind {
			return d
		}
	}
	return nil
}
