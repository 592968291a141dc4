package syntax

import (
	"fmt"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// CreateCollection is CREATE COLLECTION or TABLE.
type CreateCollection struct {
	Word        string // COLLECTION or TABLE, for the command tag
	Name        Name
	IfNotExists bool
	Temporary   bool `json:",omitempty"`
	// OnCommit is DROP or DELETE ROWS, of a temporary one.
	OnCommit string `json:",omitempty"`
	Columns  []ColumnDef
	// Constraints are those of the table and of its columns, in the order of the text;
	// NOT NULL, defaults, identities and generated values are in the columns.
	Constraints []Constraint `json:",omitempty"`
	Like        []Like       `json:",omitempty"`
	Storage
}

// PrimaryKey is the constraint that says what the primary key is; nil: none was given.
func (c *CreateCollection) PrimaryKey() *Constraint {
	for i := range c.Constraints {
		if c.Constraints[i].Kind == PrimaryKey {
			return &c.Constraints[i]
		}
	}
	return nil
}

// ColumnDef is a column of a table, or an attribute of a composite type.
type ColumnDef struct {
	Name     string
	Position int
	Type     TypeName
	NotNull  bool
	Default  string // SQL text, "" if none
	// Serial says that Type was written as serial, bigserial or smallserial.
	Serial bool `json:",omitempty"`
	// Generated is the SQL text of GENERATED ALWAYS AS (...) STORED, GeneratedNode what it
	// was read from.
	Generated         string    `json:",omitempty"`
	GeneratedNode     *pg.Node  `json:"-"`
	GeneratedPosition int       `json:",omitempty"`
	Identity          *Identity `json:",omitempty"`
}

// Identity is GENERATED ... AS IDENTITY.
type Identity struct {
	Always   bool // BY DEFAULT otherwise
	Options  SequenceOptions
	Position int
}

// TypeName is a type as it was written, by PostgreSQL's short name.
type TypeName struct {
	Schema    string `json:",omitempty"` // "" for pg_catalog
	Name      string
	Modifiers []int32
	Array     bool
	Position  int
}

// ConstraintKind says what a constraint demands.
type ConstraintKind string

// The kinds of constraints.
const (
	PrimaryKey ConstraintKind = "PRIMARY KEY"
	Unique     ConstraintKind = "UNIQUE"
	Check      ConstraintKind = "CHECK"
	ForeignKey ConstraintKind = "FOREIGN KEY"
)

// Constraint is a constraint of a table, or a CHECK of a domain.
type Constraint struct {
	Kind     ConstraintKind
	Name     string `json:",omitempty"` // "": one is to be made up
	Position int
	// Columns are those that it is of: of one that stands at a column, that one.
	Columns []string `json:",omitempty"`
	// Include, NullsNotDistinct and Index (USING INDEX) are of keys.
	Include          []string `json:",omitempty"`
	NullsNotDistinct bool     `json:",omitempty"`
	Index            string   `json:",omitempty"`
	// Expr is the SQL text of a CHECK, Node what it was read from.
	Expr       string      `json:",omitempty"`
	Node       *pg.Node    `json:"-"`
	References *References `json:",omitempty"`
	Deferrable bool        `json:",omitempty"`
	Deferred   bool        `json:",omitempty"` // INITIALLY DEFERRED
	NotValid   bool        `json:",omitempty"`
	NoInherit  bool        `json:",omitempty"`
}

// References is what a foreign key points to.
type References struct {
	Table   Name
	Columns []string `json:",omitempty"` // empty: its primary key
	// Match is FULL or PARTIAL; "": SIMPLE.
	Match string `json:",omitempty"`
	// OnUpdate and OnDelete are RESTRICT, CASCADE, SET NULL or SET DEFAULT; "": NO ACTION.
	OnUpdate string `json:",omitempty"`
	OnDelete string `json:",omitempty"`
	// SetColumns are those that ON DELETE SET NULL or SET DEFAULT sets; empty: all.
	SetColumns []string `json:",omitempty"`
}

// Like is LIKE table in CREATE TABLE.
type Like struct {
	Table Name
	// Before is how many of Columns stand in front of it.
	Before int
	// Including are the words behind INCLUDING, less those behind EXCLUDING.
	Including []string `json:",omitempty"`
}

// Truncate is TRUNCATE.
type Truncate struct {
	Word            string
	Names           []Name
	RestartIdentity bool
	Cascade         bool
}

func (*CreateCollection) node() {}
func (*Truncate) node()         {}

// unsupportedParts names what of CREATE TABLE is not offered, "" if all is.
func unsupportedParts(c *pg.CreateStmt) string {
	switch {
	case len(c.GetInhRelations()) > 0 || c.GetPartbound() != nil:
		return "table inheritance"
	case c.GetPartspec() != nil:
		return "PARTITION BY"
	case c.GetOfTypename() != nil:
		return "CREATE TABLE OF"
	case c.GetTablespacename() != "":
		return "TABLESPACE"
	case c.GetAccessMethod() != "":
		return "USING (access method)"
	default:
		return ""
	}
}

func convertCreate(c *pg.CreateStmt, word string) (Node, *Error) {
	if part := unsupportedParts(c); part != "" {
		return nil, Unsupported(part, "")
	}
	out := &CreateCollection{Word: word, IfNotExists: c.GetIfNotExists(), Temporary: temporary(c.GetRelation()), OnCommit: onCommit(c.GetOncommit())}
	var err *Error
	if out.Name, err = relationName(c.GetRelation()); err != nil {
		return nil, err
	}
	if out.Storage, err = storage(c.GetOptions()); err != nil {
		return nil, err
	}
	for _, e := range c.GetTableElts() {
		switch n := e.GetNode().(type) {
		case *pg.Node_ColumnDef:
			var column ColumnDef
			if column, err = convertColumn(n.ColumnDef, &out.Constraints); err == nil {
				out.Columns = append(out.Columns, column)
			}
		case *pg.Node_Constraint:
			err = addTableConstraint(n.Constraint, &out.Constraints)
		case *pg.Node_TableLikeClause:
			like := Like{Before: len(out.Columns), Including: likeWords(n.TableLikeClause.GetOptions())}
			like.Table, err = relationName(n.TableLikeClause.GetRelation())
			out.Like = append(out.Like, like)
		default:
			err = Unsupported("this part of CREATE TABLE", "")
		}
		if err != nil {
			return nil, err
		}
	}
	return out, checkKeys(out)
}

// checkKeys refuses a second primary key.
func checkKeys(c *CreateCollection) *Error {
	seen := false
	for i := range c.Constraints {
		if c.Constraints[i].Kind != PrimaryKey {
			continue
		}
		if seen {
			return &Error{Code: "42P16", Message: "multiple primary keys for table " + strconv.Quote(c.Name.Name) + " are not allowed", Position: c.Constraints[i].Position}
		}
		seen = true
	}
	return nil
}

func temporary(r *pg.RangeVar) bool { return r.GetRelpersistence() == "t" }

func onCommit(a pg.OnCommitAction) string {
	switch a {
	case pg.OnCommitAction_ONCOMMIT_DROP:
		return "DROP"
	case pg.OnCommitAction_ONCOMMIT_DELETE_ROWS:
		return "DELETE ROWS"
	default:
		return ""
	}
}

// likeOptions are the bits of PostgreSQL's TableLikeClause, from the lowest.
var likeOptions = []string{"COMMENTS", "COMPRESSION", "CONSTRAINTS", "DEFAULTS", "GENERATED", "IDENTITY", "INDEXES", "STATISTICS", "STORAGE"}

func likeWords(bits uint32) []string {
	var out []string
	for i, word := range likeOptions {
		if bits&(1<<i) != 0 {
			out = append(out, word)
		}
	}
	return out
}

// convertColumn reads a column; constraints that are more than the column's own go to
// into, nil if there must be none.
func convertColumn(c *pg.ColumnDef, into *[]Constraint) (ColumnDef, *Error) {
	out := ColumnDef{Name: c.GetColname(), Position: Position(c.GetLocation())}
	if c.GetCollClause() != nil {
		return out, unsupportedAt("COLLATE", "Text is ordered by its bytes.", out.Position)
	}
	var err *Error
	if out.Type, err = convertType(c.GetTypeName()); err != nil {
		return out, err
	}
	if t, ok := serials[out.Type.Name]; ok && out.Type.Schema == "" {
		out.Type.Name, out.Serial = t, true
	}
	before := 0
	if into != nil {
		before = len(*into)
	}
	for _, k := range c.GetConstraints() {
		if err := out.addConstraint(k.GetConstraint(), into, before); err != nil {
			return out, err
		}
	}
	return out, nil
}

// serials are the types that stand for a sequence.
var serials = map[string]string{"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2", "serial2": "int2"}

func unsupportedAt(what, hint string, position int) *Error {
	err := Unsupported(what, hint)
	err.Position = position
	return err
}

// addConstraint takes over a constraint that stands at a column. Those of into from
// before on are the column's.
func (d *ColumnDef) addConstraint(c *pg.Constraint, into *[]Constraint, before int) *Error {
	pos := Position(c.GetLocation())
	var err *Error
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_NULL:
	case pg.ConstrType_CONSTR_NOTNULL:
		d.NotNull = true
	case pg.ConstrType_CONSTR_DEFAULT:
		d.Default, err = deparse(c.GetRawExpr())
	case pg.ConstrType_CONSTR_IDENTITY:
		d.Identity = &Identity{Always: c.GetGeneratedWhen() == "a", Position: pos}
		d.Identity.Options, err = sequenceOptions(c.GetOptions())
	case pg.ConstrType_CONSTR_GENERATED:
		d.GeneratedPosition, d.GeneratedNode = pos, c.GetRawExpr()
		d.Generated, err = deparse(c.GetRawExpr())
	case pg.ConstrType_CONSTR_ATTR_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE,
		pg.ConstrType_CONSTR_ATTR_DEFERRED, pg.ConstrType_CONSTR_ATTR_IMMEDIATE:
		if into == nil || len(*into) == before {
			return &Error{Code: codeSyntax, Message: "misplaced clause of DEFERRABLE or INITIALLY", Position: pos}
		}
		return (*into)[len(*into)-1].attribute(c.GetContype(), pos)
	default:
		if into == nil {
			return &Error{Code: codeSyntax, Message: "an attribute of a type has no constraints", Position: pos}
		}
		k, err := convertConstraint(c)
		if err != nil {
			return err
		}
		k.Columns = []string{d.Name}
		*into = append(*into, k)
	}
	return err
}

// attribute takes over what is said of the constraint in front of it.
func (c *Constraint) attribute(t pg.ConstrType, position int) *Error {
	if c.Kind == Check {
		return &Error{Code: codeSyntax, Message: "CHECK constraints cannot be DEFERRABLE", Position: position}
	}
	switch t {
	case pg.ConstrType_CONSTR_ATTR_DEFERRABLE:
		c.Deferrable = true
	case pg.ConstrType_CONSTR_ATTR_DEFERRED:
		c.Deferrable, c.Deferred = true, true
	}
	return nil
}

func addTableConstraint(c *pg.Constraint, into *[]Constraint) *Error {
	k, err := convertConstraint(c)
	if err == nil {
		*into = append(*into, k)
	}
	return err
}

// convertConstraint reads a constraint of a table or a domain.
func convertConstraint(c *pg.Constraint) (Constraint, *Error) {
	out := Constraint{Name: c.GetConname(), Position: Position(c.GetLocation()), Columns: texts(c.GetKeys()), Include: texts(c.GetIncluding()),
		NullsNotDistinct: c.GetNullsNotDistinct(), Index: c.GetIndexname(), Deferrable: c.GetDeferrable(), Deferred: c.GetInitdeferred(),
		NotValid: c.GetSkipValidation(), NoInherit: c.GetIsNoInherit()}
	var err *Error
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_PRIMARY:
		out.Kind = PrimaryKey
	case pg.ConstrType_CONSTR_UNIQUE:
		out.Kind = Unique
	case pg.ConstrType_CONSTR_CHECK:
		out.Kind = Check
		out.Node = c.GetRawExpr()
		out.Expr, err = deparse(c.GetRawExpr())
	case pg.ConstrType_CONSTR_FOREIGN:
		out.Kind, out.Columns = ForeignKey, texts(c.GetFkAttrs())
		out.References, err = references(c)
	case pg.ConstrType_CONSTR_EXCLUSION:
		err = unsupportedAt("an EXCLUDE constraint", "", out.Position)
	default:
		err = unsupportedAt("this constraint", "", out.Position)
	}
	for _, o := range c.GetOptions() {
		if err == nil {
			err = storageParameter(o.GetDefElem())
		}
	}
	if err == nil && c.GetIndexspace() != "" {
		err = unsupportedAt("a tablespace of the index of a constraint", "", out.Position)
	}
	return out, err
}

// fkActions and fkMatches are the letters of PostgreSQL's tree.
var (
	fkActions = map[string]string{"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
	fkMatches = map[string]string{"f": "FULL", "p": "PARTIAL"}
)

func references(c *pg.Constraint) (*References, *Error) {
	table, err := relationName(c.GetPktable())
	return &References{Table: table, Columns: texts(c.GetPkAttrs()), Match: fkMatches[c.GetFkMatchtype()], OnUpdate: fkActions[c.GetFkUpdAction()],
		OnDelete: fkActions[c.GetFkDelAction()], SetColumns: texts(c.GetFkDelSetCols())}, err
}

// convertType reads a type name.
func convertType(t *pg.TypeName) (TypeName, *Error) {
	out := TypeName{Array: len(t.GetArrayBounds()) > 0, Position: Position(t.GetLocation())}
	names := texts(t.GetNames())
	if len(names) == 0 || t.GetSetof() || t.GetPctType() {
		return out, &Error{Code: codeSyntax, Message: "this type is not supported", Position: out.Position}
	}
	out.Name = names[len(names)-1]
	if len(names) > 1 && names[len(names)-2] != "pg_catalog" {
		out.Schema = names[len(names)-2]
	}
	for _, m := range t.GetTypmods() {
		c := m.GetAConst()
		if c == nil || c.GetIval() == nil {
			return out, &Error{Code: codeSyntax, Message: "type modifiers must be simple constants", Position: out.Position}
		}
		out.Modifiers = append(out.Modifiers, c.GetIval().GetIval())
	}
	return out, out.numericModifiers()
}

// numericModifiers refuses a precision and a scale that PostgreSQL's numeric cannot have.
func (t TypeName) numericModifiers() *Error {
	const maxPrecision = 1000
	refuse := func(format string, args ...any) *Error {
		return &Error{Code: "22023", Message: fmt.Sprintf(format, args...), Position: t.Position}
	}
	switch m := t.Modifiers; {
	case t.Name != "numeric" || t.Schema != "" || len(m) == 0:
	case len(m) > 2:
		return refuse("invalid NUMERIC type modifier")
	case m[0] < 1 || m[0] > maxPrecision:
		return refuse("NUMERIC precision %d must be between 1 and %d", m[0], maxPrecision)
	case len(m) == 2 && (m[1] < -maxPrecision || m[1] > maxPrecision):
		return refuse("NUMERIC scale %d must be between %d and %d", m[1], -maxPrecision, maxPrecision)
	}
	return nil
}

// ParseType reads a type as it is written.
func ParseType(text string) (TypeName, error) {
	e, err := ParseExpression("CAST(NULL AS " + text + ")")
	if err != nil || e.GetTypeCast() == nil {
		return TypeName{}, &Error{Code: codeSyntax, Message: "syntax error in the type \"" + text + "\""}
	}
	return ConvertType(e.GetTypeCast().GetTypeName())
}

// ConvertType reads PostgreSQL's type name, such as that of a cast.
func ConvertType(t *pg.TypeName) (TypeName, error) {
	out, err := convertType(t)
	if err != nil {
		return out, err
	}
	if _, ok := serials[out.Name]; ok && out.Schema == "" { // of columns only
		return out, &Error{Code: "42704", Message: "type " + strconv.Quote(out.Name) + " does not exist", Position: out.Position}
	}
	return out, nil
}

func convertTruncate(n *pg.TruncateStmt, word string) (Node, *Error) {
	out := &Truncate{Word: word, RestartIdentity: n.GetRestartSeqs(), Cascade: cascade(n.GetBehavior())}
	for _, r := range n.GetRelations() {
		name, err := relationName(r.GetRangeVar())
		if err != nil {
			return nil, err
		}
		out.Names = append(out.Names, name)
	}
	return out, nil
}

func cascade(b pg.DropBehavior) bool { return b == pg.DropBehavior_DROP_CASCADE }
