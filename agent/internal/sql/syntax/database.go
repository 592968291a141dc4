package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// CreateDatabase is CREATE DATABASE.
type CreateDatabase struct {
	Name    string
	Options []Option // by PostgreSQL's names, such as owner and encoding
}

// AlterDatabase is ALTER DATABASE with options; SET is another statement.
type AlterDatabase struct {
	Name    string
	Options []Option
}

// SetDatabase is ALTER DATABASE ... SET or RESET: a setting of the sessions to come.
type SetDatabase struct {
	Name string
	Set  SetSetting
}

// SetRole is ALTER ROLE ... SET or RESET: a setting of a role's sessions to come.
type SetRole struct {
	Role     string // "": the current one
	All      bool
	Database string // "": all
	Set      SetSetting
}

// DropDatabase is DROP DATABASE.
type DropDatabase struct {
	Name     string
	IfExists bool
	Force    bool
}

// CreateSchema is CREATE SCHEMA.
type CreateSchema struct {
	Name        string // "": that of Owner
	IfNotExists bool
	Owner       *RoleName
	// Elements are the statements that make objects in it.
	Elements []Node
}

// DropSchema is DROP SCHEMA.
type DropSchema struct {
	Names []string
	Drop
}

func (*CreateDatabase) node() {}
func (*AlterDatabase) node()  {}
func (*SetDatabase) node()    {}
func (*SetRole) node()        {}
func (*DropDatabase) node()   {}
func (*CreateSchema) node()   {}
func (*DropSchema) node()     {}

// databaseOptions reads the options of a database, each at most once.
func databaseOptions(list []*pg.Node) ([]Option, *Error) {
	out := options(list)
	seen := map[string]bool{}
	for _, o := range out {
		if seen[o.Name] {
			return nil, &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: o.Position}
		}
		seen[o.Name] = true
	}
	return out, nil
}

func convertCreateDatabase(n *pg.CreatedbStmt) (Node, *Error) {
	list, err := databaseOptions(n.GetOptions())
	return &CreateDatabase{Name: n.GetDbname(), Options: list}, err
}

func convertAlterDatabase(n *pg.AlterDatabaseStmt) (Node, *Error) {
	list, err := databaseOptions(n.GetOptions())
	return &AlterDatabase{Name: n.GetDbname(), Options: list}, err
}

func convertSetDatabase(n *pg.AlterDatabaseSetStmt) (Node, *Error) {
	set, err := sessionSetting(n.GetSetstmt(), "ALTER DATABASE")
	return &SetDatabase{Name: n.GetDbname(), Set: set}, err
}

func convertSetRole(n *pg.AlterRoleSetStmt) (Node, *Error) {
	out := &SetRole{All: n.GetRole() == nil, Database: n.GetDatabase()}
	var err *Error
	if !out.All {
		if out.Role, err = roleName(n.GetRole()); err != nil {
			return nil, err
		}
	}
	out.Set, err = sessionSetting(n.GetSetstmt(), "ALTER ROLE")
	return out, err
}

// sessionSetting is what SET or RESET of sessions to come says.
func sessionSetting(v *pg.VariableSetStmt, statement string) (SetSetting, *Error) {
	node, err := convertSet(v)
	if err != nil {
		return SetSetting{}, err
	}
	set, ok := node.(*SetSetting)
	if !ok {
		return SetSetting{}, Unsupported("this form of "+statement+" ... SET", "Write SET name = value.")
	}
	return *set, nil
}

func convertDropDatabase(n *pg.DropdbStmt) (Node, *Error) {
	out := &DropDatabase{Name: n.GetDbname(), IfExists: n.GetMissingOk()}
	for _, o := range options(n.GetOptions()) {
		if o.Name != "force" {
			return nil, &Error{Code: codeSyntax, Message: "unrecognized DROP DATABASE option " + `"` + o.Name + `"`, Position: o.Position}
		}
		out.Force = true
	}
	return out, nil
}

func convertCreateSchema(n *pg.CreateSchemaStmt, text string) (Node, *Error) {
	out := &CreateSchema{Name: n.GetSchemaname(), IfNotExists: n.GetIfNotExists()}
	if n.GetAuthrole() != nil {
		owner := role(n.GetAuthrole())
		out.Owner = &owner
	}
	for _, e := range n.GetSchemaElts() {
		node, err := convert(e, "TABLE", text)
		if err != nil {
			return nil, err
		}
		out.Elements = append(out.Elements, node)
	}
	if out.IfNotExists && len(out.Elements) > 0 {
		return nil, unsupportedAt("CREATE SCHEMA IF NOT EXISTS with elements", "Make the objects with statements of their own.", locate(text, "exists"))
	}
	return out, nil
}
