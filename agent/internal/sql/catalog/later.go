package catalog

import (
	"fmt"
	"slices"

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

// carryOn has an operation carry on what a statement leaves half-way, once the draft is
// published: one for all statements about a table, but for those that validate, since what
// these are about stays if it turns out to be wrong.
func (d *Draft) carryOn(what *cluster.TableChange) {
	if what == nil {
		return
	}
	i := slices.IndexFunc(d.later, func(other *cluster.TableChange) bool {
		return other.Table == what.Table && other.Validate == what.Validate && (len(other.Repairs) > 0) == (len(what.Repairs) > 0)
	})
	if i < 0 {
		d.later = append(d.later, what)
		return
	}
	d.later[i] = d.later[i].With(what)
}

// carriedOn is what operations are to carry on: not what a later statement has taken away.
func (d *Draft) carriedOn() []*cluster.TableChange {
	var out []*cluster.TableChange
	for _, what := range d.later {
		o := d.put[what.Table]
		if o == nil {
			continue // it was dropped, or another stands in its place
		}
		if left := what.Of(o.Collection); left.Proves() || len(left.Drops) > 0 {
			out = append(out, left)
		}
	}
	return out
}

// CarriedOn reports whether operations are to carry the draft on.
func (d *Draft) CarriedOn() bool { return d != nil && len(d.carriedOn()) > 0 }

// others reports whether anybody but the transaction can know of an index of the table.
func (a *alteration) others(id cluster.ObjectID) bool {
	o := a.scope.View.Objects[a.object.ID]
	return o != nil && slices.Contains(o.StoredIDs(), id)
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
	for _, action := range actions {
		switch action := action.(type) {
		case *syntax.AlterColumnType, *syntax.AlterDefault:
			if !a.later.Converts || a.widened {
				return togetherWith()
			}
			continue
		case *syntax.AddColumn, *syntax.AddConstraint, *syntax.ValidateConstraint, *syntax.DropConstraint:
		case *syntax.SetPool:
			if len(actions) > 1 {
				return syntax.Unsupported("SET POOL together with other changes of a table", "Run each ALTER TABLE on its own.")
			}
		case *syntax.AlterNotNull:
			if action.NotNull {
				continue
			}
			return togetherWith()
		default:
			return togetherWith()
		}
	}
	if a.later.Converts && slices.ContainsFunc(actions, func(action syntax.AlterAction) bool { return pass(action) != 1 && !isDefault(action) }) {
		return togetherWith()
	}
	for i := range a.rows.Columns {
		if a.ask.Block {
			break // the rest of the block may use them: they stay
		}
		if c := &a.rows.Columns[i]; c.ID >= a.nextColumn {
			a.later.Added = append(a.later.Added, c.ID)
		}
	}
	return nil
}

func isDefault(action syntax.AlterAction) bool {
	_, ok := action.(*syntax.AlterDefault)
	return ok
}

func togetherWith() error {
	return syntax.Unsupported("adding a constraint or NOT NULL, or a type for which rows are written anew, together with other changes of a table that others may write to", "Run each ALTER TABLE on its own.")
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
