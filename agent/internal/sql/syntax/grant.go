package syntax

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Grant is GRANT or REVOKE of privileges on objects; of roles it is GrantRole.
type Grant struct {
	Revoke bool
	// Privileges are empty for ALL PRIVILEGES.
	Privileges []Privilege
	// Kind is that of all Objects, or of what is in the schemas AllIn.
	Kind    Kind
	Objects []Target `json:",omitempty"`
	AllIn   []string `json:",omitempty"`
	To      []RoleName
	// GrantOption is WITH GRANT OPTION, or GRANT OPTION FOR.
	GrantOption bool
	GrantedBy   *RoleName `json:",omitempty"`
	Cascade     bool
}

// Privilege is one that is granted; Name "" with columns is ALL.
type Privilege struct {
	Name    string
	Columns []string `json:",omitempty"` // empty: the whole object
}

// AlterDefaultPrivileges is ALTER DEFAULT PRIVILEGES. Grant names a kind and no objects.
type AlterDefaultPrivileges struct {
	ForRoles  []RoleName // empty: the session's own
	InSchemas []string   // empty: all
	Grant     Grant
}

// privileges are the names that PostgreSQL knows.
var privileges = []string{"select", "insert", "update", "delete", "truncate", "references", "trigger", "usage", "create", "connect", "temporary", "temp", "execute", "set", "alter system", "maintain"}

func (*Grant) node()                  {}
func (*AlterDefaultPrivileges) node() {}

func convertObjectGrant(n *pg.GrantStmt, text string) (*Grant, *Error) {
	out := &Grant{Revoke: !n.GetIsGrant(), To: roles(n.GetGrantees()), GrantOption: n.GetGrantOption(), Cascade: cascade(n.GetBehavior())}
	if g := n.GetGrantor(); g != nil {
		by := role(g)
		out.GrantedBy = &by
	}
	var err *Error
	if out.Kind, err = kindOf(n.GetObjtype(), "GRANT ON"); err != nil {
		return nil, err
	}
	for _, p := range n.GetPrivileges() {
		a := p.GetAccessPriv()
		if name := a.GetPrivName(); name != "" && !slices.Contains(privileges, name) {
			return nil, &Error{Code: codeSyntax, Message: "unrecognized privilege type " + strconv.Quote(name), Position: locate(text, name)}
		}
		out.Privileges = append(out.Privileges, Privilege{Name: a.GetPrivName(), Columns: texts(a.GetCols())})
	}
	if n.GetTargtype() == pg.GrantTargetType_ACL_TARGET_ALL_IN_SCHEMA {
		out.AllIn = texts(n.GetObjects())
		return out, nil
	}
	for _, o := range n.GetObjects() {
		t, err := target(out.Kind, o)
		if err != nil {
			return nil, err
		}
		out.Objects = append(out.Objects, t)
	}
	return out, nil
}

// locate finds a name in a text: PostgreSQL's tree does not say where it stands.
func locate(text, name string) int {
	for l := (lexer{text: text}); ; {
		switch t := l.next(); t.kind {
		case tokenEnd, tokenBad:
			return 0
		case tokenWord:
			if fold(text[t.start:t.end]) == name {
				return t.start + 1
			}
		case tokenQuoted:
			if text[t.start:t.end] == strconv.Quote(name) {
				return t.start + 1
			}
		}
	}
}

func convertDefaultPrivileges(n *pg.AlterDefaultPrivilegesStmt, text string) (Node, *Error) {
	grant, err := convertObjectGrant(n.GetAction(), text)
	if err != nil {
		return nil, err
	}
	out := &AlterDefaultPrivileges{Grant: *grant}
	for _, o := range n.GetOptions() {
		d := o.GetDefElem()
		items := d.GetArg().GetList().GetItems()
		switch d.GetDefname() {
		case "roles":
			if out.ForRoles != nil {
				return nil, &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: Position(d.GetLocation())}
			}
			out.ForRoles = roles(items)
		case "schemas":
			if out.InSchemas != nil {
				return nil, &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: Position(d.GetLocation())}
			}
			out.InSchemas = texts(items)
		}
	}
	return out, nil
}
