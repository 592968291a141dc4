package permit

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Owners finds out who the owners are that statements name.
type Owners struct {
	Role       func(syntax.RoleName) (string, error)
	OfDatabase func(options []syntax.Option) (string, error)
}

// Statement refuses a statement about objects that the scope's role may not run. What the
// statement names and is not there is left to the statement.
func Statement(in catalog.Scope, owners Owners, node syntax.Node) error {
	if in.Rights.Super {
		return nil
	}
	may := permitting{Scope: in, owners: owners}
	if name, ok := creates(node); ok {
		return may.create(name)
	}
	if name, ok := changesRelation(node); ok {
		return may.ownRelation(name)
	}
	if names, ok := dropsRelations(node); ok {
		return may.drop(names)
	}
	switch node := node.(type) {
	case *syntax.AlterEnum:
		return may.ownType(node.Name)
	case *syntax.AlterDomain:
		return may.ownType(node.Name)
	case *syntax.AlterType:
		return may.ownType(node.Name)
	case *syntax.DropType:
		return may.dropTypes(node.Names)
	case *syntax.CreateView:
		return may.createView(node)
	case *syntax.CreateFunction:
		return may.createFunction(node)
	case *syntax.AlterFunction:
		return may.ownFunctions(node.Target)
	case *syntax.DropFunction:
		return may.dropFunctions(node.Targets)
	case *syntax.AlterSchedule:
		return may.ownSchedules(node.Name)
	case *syntax.DropSchedule:
		return may.ownSchedules(node.Names...)
	case *syntax.DropIndex:
		return may.dropIndexes(node)
	case *syntax.Reindex:
		return may.reindex(node)
	case *syntax.AlterCollection:
		return may.alter(node)
	case *syntax.Rename:
		return may.rename(node)
	case *syntax.SetSchema:
		return may.move(node)
	case *syntax.Comment:
		return may.ownTarget(node.Target)
	case *syntax.CreateTrigger:
		return may.trigger(node)
	case *syntax.DropTrigger:
		return may.ownRelation(node.Table)
	case *syntax.Truncate:
		return may.truncate(node)
	case *syntax.CreateSchema:
		return may.createSchema(node)
	case *syntax.DropSchema:
		return may.dropSchemas(node)
	case *syntax.CreateDatabase:
		return may.createDatabase(node)
	case *syntax.SetDatabase:
		return may.ownTarget(syntax.Target{Kind: syntax.KindDatabase, Name: syntax.Name{Name: node.Name}})
	case *syntax.DropDatabase:
		return may.ownTarget(syntax.Target{Kind: syntax.KindDatabase, Name: syntax.Name{Name: node.Name}})
	case *syntax.ChangeOwner:
		return may.changeOwner(node)
	case *syntax.Grant, *syntax.AlterDefaultPrivileges, *syntax.ReassignOwned, *syntax.DropOwned:
		return nil // they look at each object themselves
	default:
		return fmt.Errorf("what a statement of type %T needs is not known", node)
	}
}

// creates names what a statement makes in a schema, if it needs no more than that it may.
func creates(node syntax.Node) (name syntax.Name, ok bool) {
	switch node := node.(type) {
	case *syntax.CreateCollection:
		return inSchema(node.Name, node.Temporary), true
	case *syntax.CreateTableAs:
		return inSchema(node.Name, node.Temporary), true
	case *syntax.CreateSequence:
		return inSchema(node.Name, node.Temporary), true
	case *syntax.CreateEnum:
		return node.Name, true
	case *syntax.CreateDomain:
		return node.Name, true
	case *syntax.CreateType:
		return node.Name, true
	case *syntax.CreateSchedule:
		return node.Name, true
	}
	return name, false
}

// inSchema is the name of what is to be made, with the schema of temporary objects if it is one:
// whether a role may make such ones is said when the schema is made.
func inSchema(name syntax.Name, temporary bool) syntax.Name {
	if temporary {
		name.Schema = catalog.TempSchema
	}
	return name
}

// changesRelation names the relation that a statement wants of its owner.
func changesRelation(node syntax.Node) (name syntax.Name, ok bool) {
	switch node := node.(type) {
	case *syntax.RefreshMaterializedView:
		return node.Name, true
	case *syntax.CreateIndex:
		return node.Table, true
	case *syntax.AlterSequence:
		return node.Name, true
	case *syntax.CreatePolicy:
		return node.Table, true
	case *syntax.AlterPolicy:
		return node.Table, true
	case *syntax.DropPolicy:
		return node.Table, true
	}
	return name, false
}

// dropsRelations names the relations that a statement drops.
func dropsRelations(node syntax.Node) (names []syntax.Name, ok bool) {
	switch node := node.(type) {
	case *syntax.DropView:
		return node.Names, true
	case *syntax.DropCollection:
		return node.Names, true
	case *syntax.DropSequence:
		return node.Names, true
	}
	return nil, false
}

// permitting is the part of a statement that looks whether it is permitted.
type permitting struct {
	catalog.Scope
	owners Owners
}

// use wants USAGE of the schema that a name has in front.
func (p *permitting) use(name syntax.Name) error {
	if name.Schema == "" {
		return nil
	}
	if schema, ok := p.Schema(name.Schema); ok && !p.Rights.May(schema, cluster.Usage) {
		err := catalog.Denied(schema)
		err.Position = name.Position
		return err
	}
	return nil
}

// create wants to make something of the name.
func (p *permitting) create(name syntax.Name) error {
	if schema, ok := p.CreationSchema(name); ok && !p.Rights.May(schema, cluster.Create) {
		err := catalog.Denied(schema)
		err.Position = name.Position
		return err
	}
	return nil
}

// createView wants to make a view, or to give one that is there another query.
func (p *permitting) createView(node *syntax.CreateView) error {
	if o, ok := p.Relation(node.Name); ok && node.Replace && o.View != nil && !p.Rights.Owns(o) {
		return catalog.NotOwner(o)
	}
	return p.create(inSchema(node.Name, node.Temporary))
}

// ownRelation wants to do what the owner of a relation may.
func (p *permitting) ownRelation(name syntax.Name) error {
	if err := p.use(name); err != nil {
		return err
	}
	if o, ok := p.Relation(name); ok && !p.Rights.Owns(o) {
		return catalog.NotOwner(o)
	}
	return nil
}

// drop: what is in a schema its owner drops, too.
func (p *permitting) drop(list []syntax.Name) error {
	for _, name := range list {
		if err := p.use(name); err != nil {
			return err
		}
		o, ok := p.Relation(name)
		if !ok || p.Rights.Owns(o) {
			continue
		}
		if schema, ok := p.Object(o.Parent); !ok || !p.Rights.Owns(schema) {
			return catalog.NotOwner(o)
		}
	}
	return nil
}

// trigger wants to have a trigger of a relation.
func (p *permitting) trigger(node *syntax.CreateTrigger) error {
	if err := p.use(node.Table); err != nil {
		return err
	}
	if o, ok := p.Relation(node.Table); ok && !p.Rights.May(o, cluster.Trigger) {
		return catalog.Denied(o)
	}
	if node.Function == nil {
		return nil
	}
	if err := p.use(*node.Function); err != nil {
		return err
	}
	if f, err := p.TriggerFunction(*node.Function); err == nil && !p.Rights.May(f, cluster.Execute) {
		return catalog.Denied(f)
	}
	return nil
}

// ownTarget wants to do what the owner of something may; of a part, that of the whole.
func (p *permitting) ownTarget(t syntax.Target) error {
	switch t.Kind {
	case syntax.KindDatabase:
		if o, err := p.FindDatabase(t.Name.Name); err == nil && !p.Rights.Owns(o) {
			return catalog.NotOwner(o)
		}
	case syntax.KindSchema:
		if o, ok := p.Schema(t.Name.Name); ok && !p.Rights.Owns(o) {
			return catalog.NotOwner(o)
		}
	case syntax.KindRole:
		if p.Rights.User() == nil || !p.Rights.User().CreateRole {
			return &syntax.Error{Code: "42501", Message: "must have CREATEROLE privilege"}
		}
	case syntax.KindType, syntax.KindDomain, syntax.KindDomainConstraint, syntax.KindAttribute:
		return p.ownType(t.Name)
	case syntax.KindSchedule:
		return p.ownSchedules(t.Name)
	case syntax.KindFunction, syntax.KindProcedure, syntax.KindRoutine:
		return p.ownFunctions(t)
	case syntax.KindIndex:
		return p.ownIndex(t.Name)
	default:
		return p.ownRelation(t.Name)
	}
	return nil
}

// ownSchedules wants to do what the owners of schedules may.
func (p *permitting) ownSchedules(list ...syntax.Name) error {
	for _, name := range list {
		if err := p.use(name); err != nil {
			return err
		}
		if o, ok := p.Schedule(name); ok && !p.Rights.Owns(o) {
			return catalog.NotOwner(o)
		}
	}
	return nil
}

// target finds the relation, the type or the schedule that a statement changes.
func (p *permitting) target(t syntax.Target) (*cluster.Object, bool) {
	if t.Kind == syntax.KindType || t.Kind == syntax.KindDomain {
		return p.UserType(t.Name)
	}
	if t.Kind == syntax.KindSchedule {
		return p.Schedule(t.Name)
	}
	if t.Kind == syntax.KindFunction || t.Kind == syntax.KindProcedure || t.Kind == syntax.KindRoutine {
		o, err := p.FindFunction(t)
		return o, err == nil
	}
	return p.Relation(t.Name)
}

// ownType wants to do what the owner of a type may.
func (p *permitting) ownType(name syntax.Name) error {
	if err := p.use(name); err != nil {
		return err
	}
	if o, ok := p.UserType(name); ok && !p.Rights.Owns(o) {
		return catalog.NotOwner(o)
	}
	return nil
}

// dropTypes: as drop.
func (p *permitting) dropTypes(list []syntax.Name) error {
	for _, name := range list {
		err := p.ownType(name)
		if o, ok := p.UserType(name); ok && err != nil {
			if schema, ok := p.Object(o.Parent); ok && p.Rights.Owns(schema) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *permitting) alter(node *syntax.AlterCollection) error {
	if err := p.ownRelation(node.Name); err != nil {
		return err
	}
	for _, action := range node.Actions {
		if to, ok := action.(*syntax.OwnerTo); ok {
			if o, ok := p.Relation(node.Name); ok {
				return p.giveTo(to.Role, o.Parent)
			}
		}
	}
	return nil
}

// giveTo wants to give something in the parent to another owner, who has to be allowed
// to make it there.
func (p *permitting) giveTo(r syntax.RoleName, parent cluster.ObjectID) error {
	to, err := p.owners.Role(r)
	if err != nil {
		return err
	}
	if err := p.memberOf(to); err != nil {
		return err
	}
	if o, ok := p.Object(parent); ok && !catalog.RightsOf(p.View, to).May(o, cluster.Create) {
		return catalog.Denied(o)
	}
	return nil
}

// memberOf wants to become the role.
func (p *permitting) memberOf(role string) error {
	if p.View.MemberOf(p.Rights.Role)[role] {
		return nil
	}
	return &syntax.Error{Code: "42501", Message: fmt.Sprintf("must be member of role %q", role)}
}

// ownIndex wants to do what the owner of an index may, who is that of its table.
func (p *permitting) ownIndex(name syntax.Name) error {
	if err := p.use(name); err != nil {
		return err
	}
	if o, ok := p.Indexed(name); ok && !p.Rights.Owns(o) {
		return &syntax.Error{Code: "42501", Message: "must be owner of index " + name.Name}
	}
	return nil
}

func (p *permitting) dropIndexes(node *syntax.DropIndex) error {
	for _, name := range node.Names {
		if err := p.ownIndex(name); err != nil {
			return err
		}
	}
	return nil
}

func (p *permitting) reindex(node *syntax.Reindex) error {
	switch node.Kind {
	case "INDEX":
		return p.ownIndex(node.Name)
	case "TABLE":
		return p.ownRelation(node.Name)
	case "SCHEMA":
		return p.ownTarget(syntax.Target{Kind: syntax.KindSchema, Name: node.Name})
	}
	if node.Name.Name == "" {
		return nil // of those of its tables that the role owns
	}
	return p.ownTarget(syntax.Target{Kind: syntax.KindDatabase, Name: node.Name})
}

func (p *permitting) rename(node *syntax.Rename) error {
	if _, ok := p.Indexed(node.Target.Name); ok && (node.Target.Kind == syntax.KindTable || node.Target.Kind == syntax.KindIndex) {
		return p.ownIndex(node.Target.Name)
	}
	if err := p.ownTarget(node.Target); err != nil {
		return err
	}
	switch node.Target.Kind {
	case syntax.KindDatabase:
		return p.createDB("permission denied to rename database")
	case syntax.KindSchema:
		return p.createIn(p.Database)
	case syntax.KindColumn, syntax.KindConstraint, syntax.KindDomainConstraint, syntax.KindTrigger:
		return nil
	default:
		if o, ok := p.target(node.Target); ok {
			return p.createIn(o.Parent)
		}
		return nil
	}
}

func (p *permitting) createIn(parent cluster.ObjectID) error {
	if o, ok := p.Object(parent); ok && !p.Rights.May(o, cluster.Create) {
		return catalog.Denied(o)
	}
	return nil
}

func (p *permitting) createDB(otherwise string) error {
	if u := p.Rights.User(); u != nil && u.CreateDB {
		return nil
	}
	return &syntax.Error{Code: "42501", Message: otherwise}
}

func (p *permitting) move(node *syntax.SetSchema) error {
	if err := p.ownTarget(node.Target); err != nil {
		return err
	}
	if schema, ok := p.Schema(node.To); ok {
		return p.createIn(schema.ID)
	}
	return nil
}

func (p *permitting) truncate(node *syntax.Truncate) error {
	for _, name := range node.Names {
		if err := p.use(name); err != nil {
			return err
		}
		o, ok := p.Relation(name)
		if !ok {
			continue
		}
		if !p.Rights.May(o, cluster.Truncate) {
			return catalog.Denied(o)
		}
		if !node.RestartIdentity {
			continue
		}
		for _, sequence := range p.OwnedBy(o.ID, 0) {
			if !p.Rights.Owns(sequence) {
				return catalog.NotOwner(sequence)
			}
		}
	}
	return nil
}

func (p *permitting) createSchema(node *syntax.CreateSchema) error {
	if err := p.createIn(p.Database); err != nil {
		return err
	}
	if node.Owner == nil {
		return nil
	}
	owner, err := p.owners.Role(*node.Owner)
	if err != nil {
		return err
	}
	return p.memberOf(owner)
}

func (p *permitting) dropSchemas(node *syntax.DropSchema) error {
	for _, name := range node.Names {
		if err := p.ownTarget(syntax.Target{Kind: syntax.KindSchema, Name: syntax.Name{Name: name}}); err != nil {
			return err
		}
	}
	return nil
}

func (p *permitting) createDatabase(node *syntax.CreateDatabase) error {
	if err := p.createDB("permission denied to create database"); err != nil {
		return err
	}
	owner, err := p.owners.OfDatabase(node.Options)
	if err != nil {
		return err
	}
	return p.memberOf(owner)
}

func (p *permitting) changeOwner(node *syntax.ChangeOwner) error {
	if err := p.ownTarget(node.Target); err != nil {
		return err
	}
	switch node.Target.Kind {
	case syntax.KindDatabase:
		to, err := p.owners.Role(node.To)
		if err != nil {
			return err
		}
		if err := p.memberOf(to); err != nil {
			return err
		}
		return p.createDB("permission denied to change owner of database")
	case syntax.KindSchema:
		to, err := p.owners.Role(node.To)
		if err != nil {
			return err
		}
		if err := p.memberOf(to); err != nil {
			return err
		}
		return p.createIn(p.Database)
	default:
		if o, ok := p.target(node.Target); ok {
			return p.giveTo(node.To, o.Parent)
		}
		return nil
	}
}
