package catalog

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// What a table is to be that others write to has to be proved of the rows that are there:
// it is published in a state in which those who write obey it, and an operation looks at
// the rows once nobody writes any more who does not know of it.

// carriedOn is what an operation carries on.
func (a *alteration) carriedOn() *cluster.TableChange {
	if a.later == nil {
		a.later = &cluster.TableChange{Table: a.object.ID, Name: a.object.Name}
	}
	return a.later
}

// provesNotNull has a column become NOT NULL.
func (a *alteration) provesNotNull(column *cluster.Column) error {
	column.NotNull, column.NotNullState, a.changed = true, cluster.ElementWriteOnly, true
	a.carriedOn().NotNull = append(a.carriedOn().NotNull, column.ID)
	return nil
}

// isUnderWay tells of a column that is becoming NOT NULL who does that.
func (a *alteration) isUnderWay(column *cluster.Column) error {
	if id := a.ask.UnderWay(a.object.ID, column.ID); id != "" {
		return &UnderWayError{Operation: id}
	}
	return a.provesNotNull(column) // its operation has ended without a word
}

// checkLater refuses what is not all or nothing: what is to be proved can turn out to be
// wrong when the rest of the statement has long been seen. Columns that are added go then.
func (a *alteration) checkLater(actions []syntax.AlterAction) error {
	if a.ask.Block {
		return syntax.Unsupported("adding a constraint or NOT NULL in a transaction block to a table that others may write to", "Run the statement on its own, outside of the block.")
	}
	for _, action := range actions {
		switch action := action.(type) {
		case *syntax.AddColumn, *syntax.AddConstraint, *syntax.ValidateConstraint:
		case *syntax.AlterNotNull:
			if action.NotNull {
				continue
			}
			return togetherWith()
		default:
			return togetherWith()
		}
	}
	for i := range a.rows.Columns {
		if c := &a.rows.Columns[i]; c.ID >= a.nextColumn {
			a.later.Added = append(a.later.Added, c.ID)
		}
	}
	return nil
}

func togetherWith() error {
	return syntax.Unsupported("adding a constraint or NOT NULL together with other changes of a table that others may write to", "Run each ALTER TABLE on its own.")
}

// addForeignKey adds a foreign key that rows which are there have to satisfy, too, unless
// it is NOT VALID.
func (a *alteration) addForeignKey(written *syntax.Constraint) error {
	k, err := a.catalog.addForeignKey(a.ctx, a.scope, a.object, written)
	if err != nil {
		return err
	}
	a.changed, a.keys = true, append(a.keys, k)
	if a.ask.Own(a.object.ID) {
		if !a.empty && !k.NotValid {
			a.ask.Prove(a.object.ID, k.ID)
		}
		return nil
	}
	added, _ := a.rows.ForeignKey(k.Name)
	added.State = cluster.ElementWriteOnly
	a.carriedOn().ForeignKeys = append(a.carriedOn().ForeignKeys, k.ID)
	return nil
}

// refer has the tables that are referenced know of the foreign keys of the statement.
func (a *alteration) refer(next *Draft) *Draft {
	for _, k := range a.keys {
		a.scope.refer(next, a.object, k, a.ask.Own(a.object.ID))
	}
	return next
}

// validateConstraint has the rows be looked at that nobody has looked at.
func (a *alteration) validateConstraint(name string) error {
	k, ok := a.rows.ForeignKey(name)
	_, check := a.rows.Check(name)
	switch {
	case !ok && check:
		return nil // it is valid
	case !ok && takenConstraint(a.object, name):
		return &syntax.Error{Code: "42809", Message: fmt.Sprintf("constraint %q of relation %q is not a foreign key or check constraint", name, a.object.Name)}
	case !ok:
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("constraint %q of relation %q does not exist", name, a.object.Name)}
	case !k.NotValid:
		return nil
	case a.ask.Own(a.object.ID):
		k.NotValid, a.changed = false, true
		a.ask.Prove(a.object.ID, k.ID)
		return nil
	}
	k.State, a.changed = cluster.ElementWriteOnly, true
	what := a.carriedOn()
	what.ForeignKeys, what.Validate = append(what.ForeignKeys, k.ID), true
	return nil
}

// alterConstraint changes when a foreign key is looked at.
func (a *alteration) alterConstraint(action *syntax.AlterConstraint) error {
	k, ok := a.rows.ForeignKey(action.Name)
	switch {
	case !ok && takenConstraint(a.object, action.Name):
		return &syntax.Error{Code: "42809", Message: fmt.Sprintf("constraint %q of relation %q is not a foreign key constraint", action.Name, a.object.Name)}
	case !ok:
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("constraint %q of relation %q does not exist", action.Name, a.object.Name)}
	}
	k.Deferrable, k.Deferred, a.changed = action.Deferrable, action.Deferred, true
	return nil
}
