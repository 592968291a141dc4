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
	node, err := convertSet(n.GetSetstmt())
	if err != nil {
		return nil, err
	}
	set, ok := node.(*SetSetting)
	if !ok {
		return nil, Unsupported("this form of ALTER DATABASE SET", "")
	}
	return &SetDatabase{Name: n.GetDbname(), Set: *set}, nil
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
