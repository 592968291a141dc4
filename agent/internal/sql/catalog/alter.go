package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Altering is what ALTER TABLE asks of the session.
type Altering struct {
	// Value computes a column's default; volatile says that it has another one for each
	// row.
	Value func(Column) (v datum.Datum, volatile bool, err error)
	// Owner finds the user that a statement names.
	Owner func(syntax.RoleName) (string, error)
	// Empty reports whether a table has no rows, and nobody else can write any: the
	// transaction has made it.
	Empty func(cluster.ObjectID) bool
	// Fill is told of a new index of a table that the transaction has made and written to.
	Fill func(index cluster.ObjectID)
	// Block says that it is one of several statements of a transaction.
	Block bool
	// UnderWay is the operation that has a column become NOT NULL; "": none has.
	UnderWay func(cluster.ObjectID, cluster.ColumnID) string
	// Sound says what is wrong with the expressions of a table; those of the constraints
	// were written in the statement.
	Sound func(*Table, []syntax.Constraint) error
	// Own reports whether nobody else can read or write a table: the transaction has made it.
	Own func(cluster.ObjectID) bool
	// Zone is the session's time zone, and Moment when the statement is run.
	Zone   string
	Moment time.Time
	// Prove is told of a foreign key of such a table: its rows are to be looked at.
	Prove func(table, key cluster.ObjectID)
}

// UnderWayError says that an operation does already what a statement asks for.
type UnderWayError struct{ Operation string }

func (e *UnderWayError) Error() string { return e.Operation + " does so already" }

// Notice is what a client is told of what a statement had not to do, or did beside.
type Notice struct{ Code, Message, Detail string }

// noTable is what PostgreSQL says of a relation that is not there.
func noTable(name syntax.Name, part string) *syntax.Error {
	full := name.Name
	if name.Schema != "" {
		full = name.Schema + "." + name.Name
	}
	return &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist%s", full, part)}
}

// toAlter finds the table that a statement changes. Without one it gives a notice if that
// is allowed, else an error.
func (s Scope) toAlter(name syntax.Name, ifExists bool) (*cluster.Object, []Notice, error) {
	o, ok := s.Relation(name)
	switch {
	case !ok && ifExists:
		return nil, []Notice{{Code: "00000", Message: noTable(name, ", skipping").Message}}, nil
	case !ok:
		return nil, nil, noTable(name, "")
	case o.Kind != cluster.KindTable:
		return nil, nil, notA(cluster.KindTable, o)
	}
	return o, nil, unconverted(o)
}

func notA(kind cluster.ObjectKind, o *cluster.Object) *syntax.Error {
	return &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a %s", o.Name, kind)}
}

// toName finds the table or view whose name, or that of a column, a statement changes that
// calls it by word.
func (s Scope) toName(name syntax.Name, word string, ifExists bool) (*cluster.Object, []Notice, error) {
	if o, ok := s.Relation(name); ok && o.View != nil {
		if strings.EqualFold(word, string(o.Kind)) || word == "TABLE" || word == "COLLECTION" {
			return o, nil, nil
		}
		return nil, nil, notA(cluster.ObjectKind(strings.ToLower(word)), o)
	}
	o, notices, err := s.toAlter(name, ifExists)
	if o != nil && word != "TABLE" && word != "COLLECTION" {
		return nil, nil, notA(cluster.ObjectKind(strings.ToLower(word)), o)
	}
	return o, notices, err
}

// change puts what o becomes into the draft of the scope.
func (s Scope) change(o, next *cluster.Object) *Draft {
	d := s.Draft.clone()
	d.alter(s, o, next)
	return d
}

// RenameTable gives a table, a view or a sequence another name.
func (c *Catalog) RenameTable(in Scope, stmt *syntax.Rename) (*Draft, []Notice, error) {
	o, ok := in.Relation(stmt.Target.Name)
	var notices []Notice
	var err error
	if !ok || o.Sequence == nil || stmt.Word != "SEQUENCE" && stmt.Word != "TABLE" {
		o, notices, err = in.toName(stmt.Target.Name, stmt.Word, stmt.IfExists)
	}
	if o == nil {
		return in.Draft, notices, err
	}
	if err := checkName(stmt.To, 0); err != nil {
		return nil, nil, err
	}
	if _, taken := in.find(o.Parent, cluster.RelationNames, stmt.To); taken {
		return nil, nil, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", stmt.To)}
	}
	next := *o
	next.Name = stmt.To
	return in.change(o, &next), nil, nil
}

// SetSchema moves a table or a view to another schema.
func (c *Catalog) SetSchema(in Scope, stmt *syntax.SetSchema) (*Draft, []Notice, error) {
	o, notices, err := in.toName(stmt.Target.Name, stmt.Word, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	schema, ok := in.Schema(stmt.To)
	if !ok {
		return nil, nil, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", stmt.To)}
	}
	if schema.ID == o.Parent {
		return in.Draft, nil, nil
	}
	if schema.Temporary != nil || in.IsTemporary(o) {
		return nil, nil, &syntax.Error{Code: "0A000", Message: "cannot move objects into or out of temporary schemas"}
	}
	next := *o
	next.Parent = schema.ID
	for _, n := range next.Names() { // those of its indexes, too
		if in.taken(schema.ID, n.Name) {
			return nil, nil, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists in schema %q", n.Name, schema.Name)}
		}
	}
	d := in.change(o, &next)
	for _, owned := range in.ownedBy(o.ID, 0) {
		if in.taken(schema.ID, owned.Name) {
			return nil, nil, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists in schema %q", owned.Name, schema.Name)}
		}
		moved := *owned
		moved.Parent = schema.ID
		d.alter(in, owned, &moved)
	}
	return d, nil, nil
}

// RenameColumn gives a column another name.
func (c *Catalog) RenameColumn(in Scope, stmt *syntax.Rename) (*Draft, []Notice, error) {
	o, notices, err := in.toName(stmt.Target.Name, stmt.Word, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	if o.View != nil {
		next, err := in.renameViewColumn(o, stmt)
		return next, nil, err
	}
	a := newAlteration(o)
	column, ok := a.rows.Column(stmt.Target.Part)
	if !ok || column.Hidden {
		return nil, nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", stmt.Target.Part)}
	}
	if err := a.checkNew(stmt.To, 0); err != nil {
		return nil, nil, err
	}
	if err := renameInExpressions(a.rows, column.Name, stmt.To); err != nil {
		return nil, nil, err
	}
	column.Name = stmt.To
	return in.change(o, a.object), nil, nil
}

// Comment changes what is said of an object, or of a part of one.
func (c *Catalog) Comment(in Scope, stmt *syntax.Comment) (*Draft, error) {
	var o *cluster.Object
	var err error
	switch stmt.Target.Kind {
	case syntax.KindColumn, syntax.KindTrigger:
		if t, ok := in.UserType(stmt.Target.Name); ok && t.Composite != nil && stmt.Target.Kind == syntax.KindColumn {
			return in.commentAttribute(stmt)
		}
		o, _, err = in.toName(stmt.Target.Name, "TABLE", false)
	case syntax.KindTable, syntax.KindConstraint:
		o, _, err = in.toAlter(stmt.Target.Name, false)
	case syntax.KindView, syntax.KindMaterializedView:
		o, _, err = in.toName(stmt.Target.Name, string(stmt.Target.Kind), false)
	case syntax.KindType, syntax.KindDomain:
		return c.ChangeType(in, stmt.Target, func(o *cluster.Object) error {
			o.Comment = stmt.Text
			return nil
		})
	case syntax.KindFunction, syntax.KindProcedure, syntax.KindRoutine:
		o, err = in.FindFunction(stmt.Target)
	case syntax.KindIndex:
		return in.commentIndex(stmt)
	case syntax.KindSequence:
		o, err = in.toComment(stmt)
	case syntax.KindSchema:
		o, err = in.schema(stmt.Target.Name.Name, "comment on")
	case syntax.KindDatabase:
		o, err = in.FindDatabase(stmt.Target.Name.Name)
	case syntax.KindSchedule:
		o, _, err = in.toSchedule(stmt.Target.Name, false)
	default:
		err = syntax.Unsupported("COMMENT ON "+string(stmt.Target.Kind), "")
	}
	if err != nil {
		return nil, err
	}
	switch stmt.Target.Kind {
	case syntax.KindColumn:
	case syntax.KindConstraint:
		return in.commentConstraint(o, stmt)
	case syntax.KindTrigger:
		return in.commentTrigger(o, stmt)
	default:
		next := *o
		next.Comment = stmt.Text
		return in.change(o, &next), nil
	}
	if o.View != nil {
		return in.commentViewColumn(o, stmt)
	}
	a := newAlteration(o)
	column, err := a.column(stmt.Target.Part)
	if err != nil {
		return nil, err
	}
	column.Comment = stmt.Text
	return in.change(o, a.object), nil
}

// toComment finds the sequence of a comment.
func (s Scope) toComment(stmt *syntax.Comment) (*cluster.Object, error) {
	o, ok := s.Relation(stmt.Target.Name)
	switch {
	case !ok:
		return nil, noTable(stmt.Target.Name, "")
	case o.Sequence == nil:
		return nil, notA(cluster.KindSequence, o)
	}
	return o, nil
}

func (s Scope) commentIndex(stmt *syntax.Comment) (*Draft, error) {
	table, x, ok := s.Index(stmt.Target.Name)
	switch o, isRelation := s.Relation(stmt.Target.Name); {
	case ok:
		a := newAlteration(table)
		for i := range a.rows.Indexes {
			if a.rows.Indexes[i].ID == x.ID {
				a.rows.Indexes[i].Comment = stmt.Text
			}
		}
		return s.change(table, a.object), nil
	case isRelation:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not an index", o.Name)}
	}
	if _, isKey := s.keyed(stmt.Target.Name); isKey {
		return nil, syntax.Unsupported("COMMENT ON INDEX of a primary key", "Use COMMENT ON CONSTRAINT.")
	}
	return nil, noTable(stmt.Target.Name, "")
}

func (s Scope) commentConstraint(o *cluster.Object, stmt *syntax.Comment) (*Draft, error) {
	a := newAlteration(o)
	k, ok := a.rows.Check(stmt.Target.Part)
	foreign, isForeign := a.rows.ForeignKey(stmt.Target.Part)
	switch {
	case ok:
		k.Comment = stmt.Text
		return s.change(o, a.object), nil
	case isForeign:
		foreign.Comment = stmt.Text
		return s.change(o, a.object), nil
	case stmt.Target.Part == o.Collection.KeyName:
		a.rows.KeyComment = stmt.Text
		return s.change(o, a.object), nil
	}
	if x, ok := a.rows.Index(stmt.Target.Part); ok && x.Constraint != "" {
		x.ConstraintComment = stmt.Text
		return s.change(o, a.object), nil
	}
	return nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("constraint %q for table %q does not exist", stmt.Target.Part, o.Name)}
}

// Alter makes the changes of ALTER TABLE, all or none.
func (c *Catalog) Alter(ctx context.Context, in Scope, stmt *syntax.AlterCollection, ask Altering) (*Draft, []Notice, error) {
	if set, ok := stmt.Actions[0].(*syntax.SetOptions); ok && len(stmt.Actions) == 1 {
		if o, found := in.Relation(stmt.Name); stmt.Word == "VIEW" || found && o.Kind == cluster.KindView {
			return in.alterViewOptions(stmt, set)
		}
	}
	for _, action := range stmt.Actions {
		if err := offered(action); err != nil {
			return nil, nil, err
		}
	}
	if owner, ok := stmt.Actions[0].(*syntax.OwnerTo); ok && len(stmt.Actions) == 1 {
		if o, found := in.Relation(stmt.Name); found && (o.View != nil || o.Sequence != nil) { // ALTER TABLE does for them, too
			to, err := ask.Owner(owner.Role)
			if err == nil && o.Sequence != nil {
				err = in.unlinked(o, to)
			}
			next := *o
			own(&next, to)
			return in.change(o, &next), nil, err
		}
	}
	o, notices, err := in.toAlter(stmt.Name, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	a := newAlteration(o)
	a.ctx, a.catalog, a.scope, a.ask, a.empty = ctx, c, in, ask, ask.Empty(o.ID)
	actions := slices.Clone(stmt.Actions)
	slices.SortStableFunc(actions, func(x, y syntax.AlterAction) int { return cmp.Compare(pass(x), pass(y)) })
	for _, action := range actions {
		if err := a.apply(action); err != nil {
			return nil, nil, err
		}
	}
	if !a.changed {
		return in.Draft, a.notices, nil
	}
	if err := a.unmovedBy(o); err != nil {
		return nil, nil, err
	}
	if err := a.checkSound(); err != nil {
		return nil, nil, err
	}
	if a.later != nil && a.later.Proves() {
		if err := a.checkLater(actions); err != nil {
			return nil, nil, err
		}
		a.stay()
	}
	next, err := a.numbers(a.refer(in.change(o, a.object)))
	if err != nil || a.later == nil {
		return next, a.notices, err
	}
	next.carryOn(a.later)
	return next, a.notices, nil
}

// pass is when an action is carried out, as PostgreSQL orders them: what goes makes room
// for what comes.
func pass(action syntax.AlterAction) int {
	switch action.(type) {
	case *syntax.DropColumn, *syntax.DropConstraint:
		return 0
	case *syntax.AlterColumnType:
		return 1
	case *syntax.AddColumn:
		return 2
	default:
		return 3
	}
}

// alteration is a table while it is changed.
type alteration struct {
	ctx     context.Context //nolint:containedctx // of the one statement
	catalog *Catalog
	scope   Scope
	object  *cluster.Object
	rows    *cluster.Collection // its own copy
	was     *cluster.Collection
	ask     Altering
	empty   bool // nobody has written rows
	changed bool
	dropped []goingColumn
	cascade bool // of DROP COLUMN
	owner   bool // is another
	// identities are the columns that become one.
	identities []*syntax.AddIdentity
	// nextColumn is the first id of columns that the statement adds.
	nextColumn cluster.ColumnID
	// written are the constraints that the statement adds.
	written []syntax.Constraint
	// keys are the foreign keys that the statement adds.
	keys []*cluster.ForeignKey
	// left are what DROP CONSTRAINT takes away, and goneKeys those of it that foreign keys
	// may reference.
	left     leaving
	goneKeys []goneKey
	// widened says that a column has become of a wider type.
	widened bool
	// later is what has to be looked for in the rows that are there; nil: nothing.
	later   *cluster.TableChange
	notices []Notice
}

func newAlteration(o *cluster.Object) *alteration {
	next, rows := *o, *o.Collection
	rows.Columns, rows.Checks, rows.Indexes = slices.Clone(rows.Columns), slices.Clone(rows.Checks), slices.Clone(rows.Indexes)
	rows.ForeignKeys = slices.Clone(rows.ForeignKeys)
	for i := range rows.Indexes {
		rows.Indexes[i].Columns = slices.Clone(rows.Indexes[i].Columns)
	}
	next.Collection = &rows
	return &alteration{object: &next, rows: &rows, was: o.Collection, nextColumn: rows.NextColumn}
}

func (a *alteration) notice(code, format string, args ...any) {
	a.notices = append(a.notices, Notice{Code: code, Message: fmt.Sprintf(format, args...)})
}

func (a *alteration) apply(action syntax.AlterAction) error {
	switch action := action.(type) {
	case *syntax.AddColumn:
		return a.addColumn(action)
	case *syntax.DropColumn:
		return a.dropColumn(action)
	case *syntax.AlterColumnType:
		return a.setType(action)
	case *syntax.AlterDefault:
		return a.setDefault(action)
	case *syntax.AlterNotNull:
		return a.setNotNull(action)
	case *syntax.AddIdentity:
		return a.addIdentity(action)
	case *syntax.AddConstraint:
		return a.addConstraint(&action.Constraint)
	case *syntax.DropConstraint:
		return a.dropConstraint(action)
	case *syntax.ValidateConstraint:
		return a.validateConstraint(action.Name)
	case *syntax.AlterConstraint:
		return a.alterConstraint(action)
	case *syntax.RowSecurity:
		a.secure(action)
		return nil
	case *syntax.EnableTrigger:
		return a.enableTrigger(action)
	case *syntax.SetPool:
		return a.setPool(action)
	case *syntax.Tune:
		return a.tune(action)
	case *syntax.OwnerTo:
		owner, err := a.ask.Owner(action.Role)
		if err == nil {
			a.owner, a.changed = true, true
			own(a.object, owner)
			a.rows = a.object.Collection
		}
		return err
	default:
		return offered(action)
	}
}

// offered refuses what ALTER TABLE does not do yet, by its name.
func offered(action syntax.AlterAction) error {
	switch action := action.(type) {
	case *syntax.AddColumn, *syntax.DropColumn, *syntax.AlterColumnType, *syntax.AlterDefault, *syntax.AlterNotNull, *syntax.AddIdentity, *syntax.OwnerTo,
		*syntax.DropConstraint, *syntax.RowSecurity, *syntax.EnableTrigger, *syntax.SetPool, *syntax.Tune:
		return nil
	case *syntax.SetOptions:
		for _, o := range action.Options {
			if o.Name == "pool" {
				return syntax.Unsupported("the pool together with other parameters, and RESET of it", "Write ALTER TABLE ... SET POOL on its own.")
			}
			if !syntax.IsStorageParameter(o.Name) {
				return &syntax.Error{Code: "22023", Message: fmt.Sprintf("unrecognized parameter %q", o.Name)}
			}
		}
		return nil
	case *syntax.AddConstraint:
		return nil
	case *syntax.ValidateConstraint, *syntax.AlterConstraint:
		return nil
	case *syntax.AlterIdentity, *syntax.DropIdentity:
		return syntax.Unsupported("ALTER TABLE of an identity column", "")
	case *syntax.AlterGenerated:
		return syntax.Unsupported("ALTER TABLE of a generated column", "")
	default:
		return syntax.Unsupported("this form of ALTER TABLE", "")
	}
}

// checkSound looks whether the expressions of the table can be computed still.
func (a *alteration) checkSound() error {
	if err := a.scope.bindCalls(a.object); err != nil {
		return err
	}
	t, err := a.scope.NewTable(a.object, nil)
	if err != nil {
		return err
	}
	return a.ask.Sound(t, a.written)
}

// checkNew checks the name of a column that is to be.
func (a *alteration) checkNew(name string, position int) error {
	if err := checkName(name, position); err != nil {
		return err
	}
	if _, taken := a.rows.Column(name); taken || name == HiddenKey {
		return &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q of relation %q already exists", name, a.object.Name), Position: position}
	}
	return nil
}

// column finds a column that was there before the statement, or was made by it.
// tune does nothing for what is there: plans do not rest on statistics, and rows are kept by
// their keys.
func (a *alteration) tune(action *syntax.Tune) error {
	if action.Column != "" {
		_, err := a.column(action.Column)
		return err
	}
	if _, ok := a.rows.Index(action.Index); action.Index != "" && action.Index != a.rows.KeyName && !ok {
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("index %q for table %q does not exist", action.Index, a.object.Name)}
	}
	return nil
}

func (a *alteration) column(name string) (*cluster.Column, error) {
	column, ok := a.rows.Column(name)
	if !ok || column.Hidden {
		return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", name, a.object.Name)}
	}
	return column, nil
}
