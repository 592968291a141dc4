package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Kind is a kind of what SQL makes, in the words of SQL.
type Kind string

// The kinds. Columns, constraints, attributes, triggers and policies are parts of others.
const (
	KindDatabase         Kind = "DATABASE"
	KindSchema           Kind = "SCHEMA"
	KindTable            Kind = "TABLE"
	KindIndex            Kind = "INDEX"
	KindSequence         Kind = "SEQUENCE"
	KindView             Kind = "VIEW"
	KindMaterializedView Kind = "MATERIALIZED VIEW"
	KindType             Kind = "TYPE"
	KindDomain           Kind = "DOMAIN"
	KindFunction         Kind = "FUNCTION"
	KindProcedure        Kind = "PROCEDURE"
	KindRoutine          Kind = "ROUTINE" // a function or a procedure
	KindSchedule         Kind = "SCHEDULE"
	KindRole             Kind = "ROLE"
	KindColumn           Kind = "COLUMN"
	KindAttribute        Kind = "ATTRIBUTE" // of a composite type
	KindConstraint       Kind = "CONSTRAINT"
	KindDomainConstraint Kind = "DOMAIN CONSTRAINT"
	KindTrigger          Kind = "TRIGGER"
	KindPolicy           Kind = "POLICY"
)

// Target is what a statement is about: the same shape for all kinds.
type Target struct {
	Kind Kind
	// Name is that of the object: of a part, that of what it is a part of.
	Name Name
	// Part is the name of the column, constraint, trigger, ...; "": it is none.
	Part string `json:",omitempty"`
	// Args are the types of the arguments of a function; nil: none were written, and
	// there has to be one function of the name.
	Args *[]TypeName `json:",omitempty"`
}

// RoleName is a role as it was written.
type RoleName struct {
	Name     string // "" unless Which is RoleNamed
	Which    RoleWhich
	Position int
}

// RoleWhich says how a role is named.
type RoleWhich string

// How roles are named.
const (
	RoleNamed   RoleWhich = ""
	RolePublic  RoleWhich = "PUBLIC"
	RoleCurrent RoleWhich = "CURRENT_USER" // or CURRENT_ROLE
	RoleSession RoleWhich = "SESSION_USER"
)

// Option is name = value of a list of options. Value is "" if none was given.
type Option struct {
	Name, Value string
	Position    int
}

// Rename is ALTER ... RENAME TO.
type Rename struct {
	Word     string // for the command tag
	Target   Target
	To       string
	IfExists bool
}

// ChangeOwner is ALTER ... OWNER TO; of tables it is an action of AlterCollection.
type ChangeOwner struct {
	Target   Target
	To       RoleName
	IfExists bool
}

// SetSchema is ALTER ... SET SCHEMA.
type SetSchema struct {
	Word     string
	Target   Target
	To       string
	IfExists bool
}

// Comment is COMMENT ON ... IS; Text is "" for NULL.
type Comment struct {
	Target Target
	Text   string
}

// Drop is what all statements that drop something say.
type Drop struct {
	IfExists bool
	Cascade  bool `json:",omitempty"`
}

// The statements that drop objects with names in schemas.
type (
	// DropCollection is DROP COLLECTION or TABLE.
	DropCollection struct {
		Word  string
		Names []Name
		Drop
	}
	// DropIndex is DROP INDEX [CONCURRENTLY].
	DropIndex struct {
		Names []Name
		Drop
		Concurrently bool
	}
	// DropSequence is DROP SEQUENCE.
	DropSequence struct {
		Names []Name
		Drop
	}
	// DropView is DROP VIEW or MATERIALIZED VIEW.
	DropView struct {
		Materialized bool
		Names        []Name
		Drop
	}
	// DropType is DROP TYPE or DOMAIN.
	DropType struct {
		Domain bool
		Names  []Name
		Drop
	}
	// DropFunction is DROP FUNCTION, PROCEDURE or ROUTINE, which is the kind of Targets.
	DropFunction struct {
		Targets []Target
		Drop
	}
	// DropTrigger is DROP TRIGGER name ON table.
	DropTrigger struct {
		Name  string
		Table Name
		Drop
	}
	// DropPolicy is DROP POLICY name ON table.
	DropPolicy struct {
		Name  string
		Table Name
		Drop
	}
)

// kinds are PostgreSQL's kinds that NodeDB knows.
var kinds = map[pg.ObjectType]Kind{
	pg.ObjectType_OBJECT_DATABASE: KindDatabase, pg.ObjectType_OBJECT_SCHEMA: KindSchema, pg.ObjectType_OBJECT_TABLE: KindTable,
	pg.ObjectType_OBJECT_INDEX: KindIndex, pg.ObjectType_OBJECT_SEQUENCE: KindSequence, pg.ObjectType_OBJECT_VIEW: KindView,
	pg.ObjectType_OBJECT_MATVIEW: KindMaterializedView, pg.ObjectType_OBJECT_TYPE: KindType, pg.ObjectType_OBJECT_DOMAIN: KindDomain,
	pg.ObjectType_OBJECT_FUNCTION: KindFunction, pg.ObjectType_OBJECT_PROCEDURE: KindProcedure, pg.ObjectType_OBJECT_ROUTINE: KindRoutine,
	pg.ObjectType_OBJECT_ROLE: KindRole, pg.ObjectType_OBJECT_COLUMN: KindColumn, pg.ObjectType_OBJECT_ATTRIBUTE: KindAttribute,
	pg.ObjectType_OBJECT_TABCONSTRAINT: KindConstraint, pg.ObjectType_OBJECT_DOMCONSTRAINT: KindDomainConstraint,
	pg.ObjectType_OBJECT_TRIGGER: KindTrigger, pg.ObjectType_OBJECT_POLICY: KindPolicy,
}

// kindOf finds the kind that a statement is about.
func kindOf(t pg.ObjectType, verb string) (Kind, *Error) {
	k, ok := kinds[t]
	if !ok {
		_, word, _ := strings.Cut(t.String(), "_")
		return "", Unsupported(verb+" "+strings.ReplaceAll(word, "_", " "), "")
	}
	return k, nil
}

func convertRename(n *pg.RenameStmt, word string) (Node, *Error) {
	kind, err := kindOf(n.GetRenameType(), "ALTER")
	if err != nil {
		return nil, err
	}
	of := kind // what the statement is about, by its first words
	switch kind {
	case KindColumn, KindAttribute:
		of = kinds[n.GetRelationType()]
	case KindConstraint:
		of = KindTable
	case KindDomainConstraint:
		of = KindDomain
	}
	out := &Rename{Word: wordOf(of, word), To: n.GetNewname(), IfExists: n.GetMissingOk()}
	switch {
	case n.GetRelation() != nil:
		out.Target = Target{Kind: kind, Part: n.GetSubname()}
		out.Target.Name, err = relationName(n.GetRelation())
	case kind == KindDomainConstraint:
		out.Target = Target{Kind: kind, Part: n.GetSubname()}
		out.Target.Name, err = listName(n.GetObject().GetList().GetItems())
	case n.GetObject() != nil:
		out.Target, err = target(kind, n.GetObject())
	default: // a database, schema or role
		out.Target = Target{Kind: kind, Name: Name{Name: n.GetSubname()}}
	}
	return out, err
}

// wordOf is what a statement called an object of the kind.
func wordOf(kind Kind, word string) string {
	if kind == KindTable {
		return word
	}
	return string(kind)
}

func convertOwner(n *pg.AlterOwnerStmt) (Node, *Error) {
	kind, err := kindOf(n.GetObjectType(), "ALTER")
	if err != nil {
		return nil, err
	}
	out := &ChangeOwner{To: role(n.GetNewowner())}
	out.Target, err = target(kind, n.GetObject())
	return out, err
}

func convertSetSchema(n *pg.AlterObjectSchemaStmt, word string) (Node, *Error) {
	kind, err := kindOf(n.GetObjectType(), "ALTER")
	if err != nil {
		return nil, err
	}
	out := &SetSchema{Word: wordOf(kind, word), To: n.GetNewschema(), IfExists: n.GetMissingOk()}
	if r := n.GetRelation(); r != nil {
		out.Target.Kind = kind
		out.Target.Name, err = relationName(r)
		return out, err
	}
	out.Target, err = target(kind, n.GetObject())
	return out, err
}

func convertComment(n *pg.CommentStmt) (Node, *Error) {
	kind, err := kindOf(n.GetObjtype(), "COMMENT ON")
	if err != nil {
		return nil, err
	}
	out := &Comment{Text: n.GetComment()}
	out.Target, err = target(kind, n.GetObject())
	return out, err
}

// convertDrop reads DROP of whatever PostgreSQL has one statement for.
func convertDrop(d *pg.DropStmt, word string) (Node, *Error) {
	kind, err := kindOf(d.GetRemoveType(), "DROP")
	if err != nil {
		return nil, err
	}
	var targets []Target
	var names []Name
	for _, o := range d.GetObjects() {
		t, err := target(kind, o)
		if err != nil {
			return nil, err
		}
		targets, names = append(targets, t), append(names, t.Name)
	}
	how := Drop{IfExists: d.GetMissingOk(), Cascade: d.GetBehavior() == pg.DropBehavior_DROP_CASCADE}
	switch kind {
	case KindTable:
		return &DropCollection{Word: word, Names: names, Drop: how}, nil
	case KindSchema:
		out := &DropSchema{Drop: how}
		for _, n := range names {
			out.Names = append(out.Names, n.Name)
		}
		return out, nil
	case KindIndex:
		return &DropIndex{Names: names, Drop: how, Concurrently: d.GetConcurrent()}, nil
	case KindSequence:
		return &DropSequence{Names: names, Drop: how}, nil
	case KindView, KindMaterializedView:
		return &DropView{Materialized: kind == KindMaterializedView, Names: names, Drop: how}, nil
	case KindType, KindDomain:
		return &DropType{Domain: kind == KindDomain, Names: names, Drop: how}, nil
	case KindFunction, KindProcedure, KindRoutine:
		return &DropFunction{Targets: targets, Drop: how}, nil
	case KindTrigger:
		return &DropTrigger{Name: targets[0].Part, Table: names[0], Drop: how}, nil
	case KindPolicy:
		return &DropPolicy{Name: targets[0].Part, Table: names[0], Drop: how}, nil
	default:
		return nil, Unsupported("DROP "+string(kind), "")
	}
}

// target reads what PostgreSQL's tree says of an object, for which it has many shapes.
func target(kind Kind, o *pg.Node) (Target, *Error) {
	out := Target{Kind: kind}
	var err *Error
	switch n := o.GetNode().(type) {
	case *pg.Node_RangeVar:
		out.Name, err = relationName(n.RangeVar)
		return out, err
	case *pg.Node_String_:
		out.Name.Name = n.String_.GetSval()
		return out, nil
	case *pg.Node_TypeName:
		out.Name, err = listName(n.TypeName.GetNames())
		out.Name.Position = Position(n.TypeName.GetLocation())
		return out, err
	case *pg.Node_ObjectWithArgs:
		return functionTarget(kind, n.ObjectWithArgs)
	}
	items := o.GetList().GetItems()
	switch kind {
	case KindColumn, KindConstraint, KindDomainConstraint, KindTrigger, KindPolicy:
		if len(items) < 2 {
			return out, syntaxError("a name of a table and one of its parts are needed")
		}
		out.Part, items = items[len(items)-1].GetString_().GetSval(), items[:len(items)-1]
	}
	if t := items[0].GetTypeName(); t != nil { // of a constraint of a domain
		items = t.GetNames()
	}
	out.Name, err = listName(items)
	return out, err
}

func functionTarget(kind Kind, o *pg.ObjectWithArgs) (Target, *Error) {
	out := Target{Kind: kind}
	var err *Error
	if out.Name, err = listName(o.GetObjname()); err != nil || o.GetArgsUnspecified() {
		return out, err
	}
	args := []TypeName{}
	for _, a := range o.GetObjargs() {
		t, err := convertType(a.GetTypeName())
		if err != nil {
			return out, err
		}
		args = append(args, t)
	}
	out.Args = &args
	return out, nil
}

// listName reads a name of one part or two.
func listName(parts []*pg.Node) (Name, *Error) {
	names := texts(parts)
	switch len(names) {
	case 1:
		return Name{Name: names[0]}, nil
	case 2:
		return Name{Schema: names[0], Name: names[1]}, nil
	case 0:
		return Name{}, syntaxError("a name is missing")
	default:
		return Name{}, Unsupported("a database name in front of a table", "")
	}
}

// relationName reads a name that has a position.
func relationName(r *pg.RangeVar) (Name, *Error) {
	out := Name{Schema: r.GetSchemaname(), Name: r.GetRelname(), Position: Position(r.GetLocation())}
	if r.GetCatalogname() != "" {
		err := Unsupported("a database name in front of a table", "")
		err.Position = out.Position
		return out, err
	}
	return out, nil
}

// texts reads a list of names.
func texts(list []*pg.Node) []string {
	var out []string
	for _, n := range list {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

func role(r *pg.RoleSpec) RoleName {
	out := RoleName{Position: Position(r.GetLocation())}
	switch r.GetRoletype() {
	case pg.RoleSpecType_ROLESPEC_PUBLIC:
		out.Which = RolePublic
	case pg.RoleSpecType_ROLESPEC_CURRENT_USER, pg.RoleSpecType_ROLESPEC_CURRENT_ROLE:
		out.Which = RoleCurrent
	case pg.RoleSpecType_ROLESPEC_SESSION_USER:
		out.Which = RoleSession
	default:
		out.Name = r.GetRolename()
	}
	return out
}

func roles(list []*pg.Node) []RoleName {
	var out []RoleName
	for _, n := range list {
		out = append(out, role(n.GetRoleSpec()))
	}
	return out
}

// options reads name = value lists, such as those of WITH.
func options(list []*pg.Node) []Option {
	var out []Option
	for _, n := range list {
		d := n.GetDefElem()
		name := d.GetDefname()
		if d.GetDefnamespace() != "" {
			name = d.GetDefnamespace() + "." + name
		}
		out = append(out, Option{Name: name, Value: optionText(d.GetArg()), Position: Position(d.GetLocation())})
	}
	return out
}

// optionText is the text of a value of a DefElem.
func optionText(n *pg.Node) string {
	switch v := n.GetNode().(type) {
	case *pg.Node_Integer:
		return integerText(int64(v.Integer.GetIval()))
	case *pg.Node_Float:
		return v.Float.GetFval()
	case *pg.Node_Boolean:
		if v.Boolean.GetBoolval() {
			return "true"
		}
		return "false"
	case *pg.Node_String_:
		return v.String_.GetSval()
	case *pg.Node_TypeName: // a bare word
		return strings.Join(texts(v.TypeName.GetNames()), ".")
	case *pg.Node_List:
		return strings.Join(texts(v.List.GetItems()), ".")
	default:
		text, _ := constantText(n)
		return text
	}
}

func syntaxError(message string) *Error { return &Error{Code: codeSyntax, Message: message} }

func (*Rename) node()         {}
func (*ChangeOwner) node()    {}
func (*SetSchema) node()      {}
func (*Comment) node()        {}
func (*DropCollection) node() {}
func (*DropIndex) node()      {}
func (*DropSequence) node()   {}
func (*DropView) node()       {}
func (*DropType) node()       {}
func (*DropFunction) node()   {}
func (*DropTrigger) node()    {}
func (*DropPolicy) node()     {}
