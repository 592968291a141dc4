package syntax

import (
	"reflect"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// AlterCollection is ALTER COLLECTION or TABLE but for RENAME and SET SCHEMA; all its
// actions happen, or none.
type AlterCollection struct {
	Word     string
	Name     Name
	IfExists bool
	Actions  []AlterAction
}

// AlterType is ALTER TYPE of a composite type.
type AlterType struct {
	Name    Name
	Actions []AlterAction // AddColumn, DropColumn and AlterColumnType, of attributes
}

// AlterAction is what ALTER TABLE does: one of the types below.
type AlterAction interface{ action() }

// The actions of ALTER TABLE. Expressions are SQL text.
type (
	// AddColumn is ADD COLUMN.
	AddColumn struct {
		Column      ColumnDef
		Constraints []Constraint // that stand at the column
		IfNotExists bool
		Cascade     bool // of attributes
	}
	// DropColumn is DROP COLUMN.
	DropColumn struct {
		Name string
		Drop
	}
	// AlterColumnType is ALTER COLUMN ... TYPE [USING].
	AlterColumnType struct {
		Name  string
		Type  TypeName
		Using string
		Casts bool // Using is the column itself as that type, which says nothing new
		// Explicit says that what Using gives was written as cast to that type.
		Explicit bool
		Cascade  bool // of attributes
	}
	// AlterDefault is ALTER COLUMN ... SET DEFAULT, or DROP DEFAULT if Default is "".
	AlterDefault struct{ Name, Default string }
	// AlterNotNull is ALTER COLUMN ... SET or DROP NOT NULL.
	AlterNotNull struct {
		Name    string
		NotNull bool
	}
	// AlterGenerated is ALTER COLUMN ... SET EXPRESSION, or DROP EXPRESSION if Expr is "".
	AlterGenerated struct {
		Name, Expr string
		IfExists   bool
	}
	// AddIdentity is ALTER COLUMN ... ADD GENERATED ... AS IDENTITY.
	AddIdentity struct {
		Name     string
		Identity Identity
	}
	// AlterIdentity is ALTER COLUMN ... SET of an identity; Always is nil if not given.
	AlterIdentity struct {
		Name    string
		Always  *bool
		Options SequenceOptions
	}
	// DropIdentity is ALTER COLUMN ... DROP IDENTITY.
	DropIdentity struct {
		Name     string
		IfExists bool
	}
	// AddConstraint is ADD of a constraint of the table.
	AddConstraint struct{ Constraint Constraint }
	// AlterConstraint is ALTER CONSTRAINT.
	AlterConstraint struct {
		Name                 string
		Deferrable, Deferred bool
	}
	// ValidateConstraint is VALIDATE CONSTRAINT.
	ValidateConstraint struct{ Name string }
	// DropConstraint is DROP CONSTRAINT.
	DropConstraint struct {
		Name string
		Drop
	}
	// OwnerTo is OWNER TO.
	OwnerTo struct{ Role RoleName }
	// RowSecurity is ENABLE, DISABLE, FORCE or NO FORCE ROW LEVEL SECURITY: one of Enable
	// and Force is set.
	RowSecurity struct{ Enable, Force *bool }
	// EnableTrigger is ENABLE or DISABLE TRIGGER; Name is "" for ALL and USER.
	EnableTrigger struct {
		Name   string
		User   bool
		Enable bool
	}
	// SetPool is SET POOL, or SET (pool = ...).
	SetPool struct {
		Pool     string
		Position int
	}
	// Tune says how rows are kept and looked for, of a column, an index or the table, which
	// changes no answer: STATISTICS, STORAGE, COMPRESSION, CLUSTER ON, SET (UN)LOGGED, REPLICA
	// IDENTITY.
	Tune struct {
		Column, Index string
	}
	// SetOptions is SET (option = value, ...), or RESET if Reset.
	SetOptions struct {
		Options []Option
		Reset   bool
	}
)

func (*AddColumn) action()          {}
func (*DropColumn) action()         {}
func (*AlterColumnType) action()    {}
func (*AlterDefault) action()       {}
func (*AlterNotNull) action()       {}
func (*AlterGenerated) action()     {}
func (*AddIdentity) action()        {}
func (*AlterIdentity) action()      {}
func (*DropIdentity) action()       {}
func (*AddConstraint) action()      {}
func (*AlterConstraint) action()    {}
func (*ValidateConstraint) action() {}
func (*DropConstraint) action()     {}
func (*OwnerTo) action()            {}
func (*RowSecurity) action()        {}
func (*EnableTrigger) action()      {}
func (*SetOptions) action()         {}
func (*Tune) action()               {}
func (*SetPool) action()            {}

func (*AlterCollection) node() {}
func (*AlterType) node()       {}

// convertAlterTable reads what PostgreSQL's grammar makes ALTER TABLE of: all relations
// and composite types.
func convertAlterTable(a *pg.AlterTableStmt, word string) (Node, *Error) {
	kind, err := kindOf(a.GetObjtype(), "ALTER")
	if err != nil {
		return nil, err
	}
	name, err := relationName(a.GetRelation())
	if err != nil {
		return nil, err
	}
	if kind != KindTable && kind != KindType {
		if cmds := a.GetCmds(); len(cmds) == 1 && cmds[0].GetAlterTableCmd().GetSubtype() == pg.AlterTableType_AT_ChangeOwner {
			return &ChangeOwner{Target: Target{Kind: kind, Name: name}, To: role(cmds[0].GetAlterTableCmd().GetNewowner()), IfExists: a.GetMissingOk()}, nil
		}
		if cmds := a.GetCmds(); kind == KindView && len(cmds) == 1 {
			if set, ok := setOptions(cmds[0].GetAlterTableCmd()); ok {
				return &AlterCollection{Word: "VIEW", Name: name, IfExists: a.GetMissingOk(), Actions: []AlterAction{set}}, nil
			}
		}
		return nil, Unsupported("this form of ALTER "+string(kind), "")
	}
	var actions []AlterAction
	for _, c := range a.GetCmds() {
		action, err := alterAction(c.GetAlterTableCmd())
		if err != nil {
			return nil, err
		}
		actions = append(actions, action)
	}
	if kind == KindType {
		return &AlterType{Name: name, Actions: actions}, nil
	}
	return &AlterCollection{Word: word, Name: name, IfExists: a.GetMissingOk(), Actions: actions}, nil
}

// setOptions reads SET (...) and RESET (...).
func setOptions(c *pg.AlterTableCmd) (*SetOptions, bool) {
	reset := c.GetSubtype() == pg.AlterTableType_AT_ResetRelOptions
	return &SetOptions{Options: options(c.GetDef().GetList().GetItems()), Reset: reset}, reset || c.GetSubtype() == pg.AlterTableType_AT_SetRelOptions
}

// alterAction reads one action, in three parts: of columns, of constraints, of the table.
func alterAction(c *pg.AlterTableCmd) (AlterAction, *Error) {
	if action, err := columnAction(c); action != nil || err != nil {
		return action, err
	}
	if action, err := constraintAction(c); action != nil || err != nil {
		return action, err
	}
	yes, no := true, false
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_ChangeOwner:
		return &OwnerTo{Role: role(c.GetNewowner())}, nil
	case pg.AlterTableType_AT_EnableRowSecurity:
		return &RowSecurity{Enable: &yes}, nil
	case pg.AlterTableType_AT_DisableRowSecurity:
		return &RowSecurity{Enable: &no}, nil
	case pg.AlterTableType_AT_ForceRowSecurity:
		return &RowSecurity{Force: &yes}, nil
	case pg.AlterTableType_AT_NoForceRowSecurity:
		return &RowSecurity{Force: &no}, nil
	case pg.AlterTableType_AT_EnableTrig, pg.AlterTableType_AT_EnableTrigAll, pg.AlterTableType_AT_EnableTrigUser:
		return &EnableTrigger{Name: c.GetName(), User: c.GetSubtype() == pg.AlterTableType_AT_EnableTrigUser, Enable: true}, nil
	case pg.AlterTableType_AT_DisableTrig, pg.AlterTableType_AT_DisableTrigAll, pg.AlterTableType_AT_DisableTrigUser:
		return &EnableTrigger{Name: c.GetName(), User: c.GetSubtype() == pg.AlterTableType_AT_DisableTrigUser}, nil
	case pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions:
		if set := c.GetDef().GetList().GetItems(); c.GetSubtype() == pg.AlterTableType_AT_SetRelOptions && len(set) == 1 && set[0].GetDefElem().GetDefname() == "pool" {
			to, err := storage(set)
			return &SetPool{Pool: to.Pool, Position: to.PoolPosition}, err
		}
		set, _ := setOptions(c)
		return set, nil
	case pg.AlterTableType_AT_SetStatistics, pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_SetCompression:
		return &Tune{Column: c.GetName()}, nil
	case pg.AlterTableType_AT_ClusterOn:
		return &Tune{Index: c.GetName()}, nil
	case pg.AlterTableType_AT_ReplicaIdentity:
		return &Tune{Index: c.GetDef().GetReplicaIdentityStmt().GetName()}, nil
	case pg.AlterTableType_AT_DropCluster, pg.AlterTableType_AT_SetLogged, pg.AlterTableType_AT_SetUnLogged:
		return &Tune{}, nil
	default:
		return nil, Unsupported("this form of ALTER TABLE", "")
	}
}

func columnAction(c *pg.AlterTableCmd) (AlterAction, *Error) {
	name := c.GetName()
	var err *Error
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_AddColumn:
		out := &AddColumn{IfNotExists: c.GetMissingOk(), Cascade: cascade(c.GetBehavior())}
		out.Column, err = convertColumn(c.GetDef().GetColumnDef(), &out.Constraints)
		return out, err
	case pg.AlterTableType_AT_DropColumn:
		return &DropColumn{Name: name, Drop: Drop{IfExists: c.GetMissingOk(), Cascade: cascade(c.GetBehavior())}}, nil
	case pg.AlterTableType_AT_AlterColumnType:
		return alterColumnType(c)
	case pg.AlterTableType_AT_ColumnDefault:
		out := &AlterDefault{Name: name}
		if c.GetDef() != nil {
			out.Default, err = deparse(c.GetDef())
		}
		return out, err
	case pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_DropNotNull:
		return &AlterNotNull{Name: name, NotNull: c.GetSubtype() == pg.AlterTableType_AT_SetNotNull}, nil
	case pg.AlterTableType_AT_SetExpression:
		out := &AlterGenerated{Name: name}
		out.Expr, err = deparse(c.GetDef())
		return out, err
	case pg.AlterTableType_AT_DropExpression:
		return &AlterGenerated{Name: name, IfExists: c.GetMissingOk()}, nil
	case pg.AlterTableType_AT_AddIdentity:
		k := c.GetDef().GetConstraint()
		out := &AddIdentity{Name: name, Identity: Identity{Always: k.GetGeneratedWhen() == "a", Position: Position(k.GetLocation())}}
		out.Identity.Options, err = sequenceOptions(k.GetOptions())
		return out, err
	case pg.AlterTableType_AT_SetIdentity:
		return alterIdentity(c)
	case pg.AlterTableType_AT_DropIdentity:
		return &DropIdentity{Name: name, IfExists: c.GetMissingOk()}, nil
	default:
		return nil, nil
	}
}

func alterColumnType(c *pg.AlterTableCmd) (AlterAction, *Error) {
	def := c.GetDef().GetColumnDef()
	out := &AlterColumnType{Name: c.GetName(), Cascade: cascade(c.GetBehavior())}
	if coll := def.GetCollClause(); coll != nil {
		return nil, unsupportedAt("COLLATE", "Text is ordered by its bytes.", Position(coll.GetLocation()))
	}
	var err *Error
	if out.Type, err = convertType(def.GetTypeName()); err == nil && def.GetRawDefault() != nil {
		value := def.GetRawDefault()
		if cast := value.GetTypeCast(); castsTo(cast, def.GetTypeName()) {
			value, out.Explicit = cast.GetArg(), true
			fields := value.GetColumnRef().GetFields()
			out.Casts = len(fields) == 1 && fields[0].GetString_().GetSval() == out.Name
		}
		out.Using, err = deparse(value)
	}
	return out, err
}

// castsTo reports whether a cast is one to the type.
func castsTo(cast *pg.TypeCast, to *pg.TypeName) bool {
	if cast == nil {
		return false
	}
	t, err := convertType(cast.GetTypeName())
	is, err2 := convertType(to)
	t.Position, is.Position = 0, 0
	return err == nil && err2 == nil && reflect.DeepEqual(t, is)
}

// alterIdentity reads SET GENERATED, which PostgreSQL's grammar puts between the options
// of the sequence.
func alterIdentity(c *pg.AlterTableCmd) (AlterAction, *Error) {
	out := &AlterIdentity{Name: c.GetName()}
	var rest []*pg.Node
	for _, o := range c.GetDef().GetList().GetItems() {
		if d := o.GetDefElem(); d.GetDefname() == "generated" {
			always := d.GetArg().GetInteger().GetIval() == 'a'
			out.Always = &always
			continue
		}
		rest = append(rest, o)
	}
	var err *Error
	out.Options, err = sequenceOptions(rest)
	return out, err
}

func constraintAction(c *pg.AlterTableCmd) (AlterAction, *Error) {
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_AddConstraint:
		k, err := convertConstraint(c.GetDef().GetConstraint())
		return &AddConstraint{Constraint: k}, err
	case pg.AlterTableType_AT_AlterConstraint:
		k := c.GetDef().GetConstraint()
		return &AlterConstraint{Name: k.GetConname(), Deferrable: k.GetDeferrable(), Deferred: k.GetInitdeferred()}, nil
	case pg.AlterTableType_AT_ValidateConstraint:
		return &ValidateConstraint{Name: c.GetName()}, nil
	case pg.AlterTableType_AT_DropConstraint:
		return &DropConstraint{Name: c.GetName(), Drop: Drop{IfExists: c.GetMissingOk(), Cascade: cascade(c.GetBehavior())}}, nil
	default:
		return nil, nil
	}
}
