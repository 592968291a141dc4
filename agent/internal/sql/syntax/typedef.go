package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// CreateEnum is CREATE TYPE ... AS ENUM.
type CreateEnum struct {
	Name   Name
	Values []string
}

// AlterEnum is ALTER TYPE ... ADD or RENAME VALUE.
type AlterEnum struct {
	Name  Name
	Value string
	// Old is the value that becomes Value; "": Value is added.
	Old string
	// Neighbour is the value that the new one is put before, or after if After; "": at
	// the end.
	Neighbour   string
	After       bool
	IfNotExists bool
}

// CreateType is CREATE TYPE ... AS (...): a composite type.
type CreateType struct {
	Name    Name
	Columns []ColumnDef
}

// CreateDomain is CREATE DOMAIN. Expressions are SQL text, with VALUE for the value.
type CreateDomain struct {
	Name        Name
	Type        TypeName
	NotNull     bool
	Default     string
	Constraints []Constraint // of kind Check
}

// AlterDomain is ALTER DOMAIN but for RENAME, OWNER TO and SET SCHEMA.
type AlterDomain struct {
	Name Name
	// Action is AlterDefault, AlterNotNull, AddConstraint, ValidateConstraint or
	// DropConstraint; their column has no name.
	Action AlterAction
}

func (*CreateEnum) node()   {}
func (*AlterEnum) node()    {}
func (*CreateType) node()   {}
func (*CreateDomain) node() {}
func (*AlterDomain) node()  {}

func convertEnum(n *pg.CreateEnumStmt) (Node, *Error) {
	name, err := listName(n.GetTypeName())
	return &CreateEnum{Name: name, Values: texts(n.GetVals())}, err
}

func convertAlterEnum(n *pg.AlterEnumStmt) (Node, *Error) {
	name, err := listName(n.GetTypeName())
	return &AlterEnum{Name: name, Value: n.GetNewVal(), Old: n.GetOldVal(), Neighbour: n.GetNewValNeighbor(), After: n.GetNewValIsAfter(),
		IfNotExists: n.GetSkipIfNewValExists()}, err
}

func convertComposite(n *pg.CompositeTypeStmt) (Node, *Error) {
	out := &CreateType{}
	var err *Error
	if out.Name, err = relationName(n.GetTypevar()); err != nil {
		return nil, err
	}
	for _, c := range n.GetColdeflist() {
		column, err := convertColumn(c.GetColumnDef(), nil)
		if err != nil {
			return nil, err
		}
		out.Columns = append(out.Columns, column)
	}
	return out, nil
}

func convertDomain(n *pg.CreateDomainStmt) (Node, *Error) {
	name, err := listName(n.GetDomainname())
	if err != nil {
		return nil, err
	}
	// A domain is written as a column is.
	column, err := convertColumn(&pg.ColumnDef{TypeName: n.GetTypeName(), CollClause: n.GetCollClause(), Location: n.GetTypeName().GetLocation()}, nil)
	if err != nil {
		return nil, err
	}
	out := &CreateDomain{Name: name, Type: column.Type}
	for _, c := range n.GetConstraints() {
		if err := out.add(c.GetConstraint(), &column); err != nil {
			return nil, err
		}
	}
	out.NotNull, out.Default = column.NotNull, column.Default
	return out, nil
}

func (d *CreateDomain) add(c *pg.Constraint, column *ColumnDef) *Error {
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_NULL, pg.ConstrType_CONSTR_NOTNULL, pg.ConstrType_CONSTR_DEFAULT:
		return column.addConstraint(c, nil, 0)
	case pg.ConstrType_CONSTR_CHECK:
		return addTableConstraint(c, &d.Constraints)
	default:
		return &Error{Code: codeSyntax, Message: "a domain has NOT NULL, DEFAULT and CHECK, and no other constraints", Position: Position(c.GetLocation())}
	}
}

func convertAlterDomain(n *pg.AlterDomainStmt) (Node, *Error) {
	out := &AlterDomain{}
	var err *Error
	if out.Name, err = listName(n.GetTypeName()); err != nil {
		return nil, err
	}
	switch n.GetSubtype() {
	case "T":
		def := &AlterDefault{}
		if n.GetDef() != nil {
			def.Default, err = deparse(n.GetDef())
		}
		out.Action = def
	case "N", "O":
		out.Action = &AlterNotNull{NotNull: n.GetSubtype() == "O"}
	case "C":
		k := n.GetDef().GetConstraint()
		if k.GetContype() != pg.ConstrType_CONSTR_CHECK {
			return nil, unsupportedAt("a constraint of a domain other than CHECK", "", Position(k.GetLocation()))
		}
		add := &AddConstraint{}
		add.Constraint, err = convertConstraint(k)
		out.Action = add
	case "V":
		out.Action = &ValidateConstraint{Name: n.GetName()}
	case "X":
		out.Action = &DropConstraint{Name: n.GetName(), Drop: Drop{IfExists: n.GetMissingOk(), Cascade: cascade(n.GetBehavior())}}
	default:
		return nil, Unsupported("this form of ALTER DOMAIN", "")
	}
	return out, err
}
