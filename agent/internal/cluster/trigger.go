package cluster

import (
	"fmt"
	"slices"
)

// What triggers fire on, and when.
const (
	OnInsert   = "INSERT"
	OnUpdate   = "UPDATE"
	OnDelete   = "DELETE"
	OnTruncate = "TRUNCATE"

	BeforeRows    = "BEFORE"
	AfterRows     = "AFTER"
	InsteadOfRows = "INSTEAD OF" // of rows of views
)

// TableTrigger is what is done when rows of a table are written.
type TableTrigger struct {
	// ID is its own among all objects: catalogs name it by that.
	ID   ObjectID `json:"id"`
	Name string   `json:"name"`
	// Timing is BeforeRows, AfterRows or InsteadOfRows.
	Timing string   `json:"timing"`
	Events []string `json:"events"`
	// Columns are those of UPDATE OF; none: all are.
	Columns []ColumnID `json:"columns,omitempty"`
	Row     bool       `json:"row,omitempty"` // once for each row, else for each statement
	// When is the SQL text of a condition in which columns stand as old.c and new.c; "":
	// it always fires.
	When string `json:"when,omitempty"`
	// Body is the text of what is done, or Function does it, with Args; Revision counts
	// what the function was changed to, so that a change of it is one of the table.
	Body     string   `json:"body,omitempty"`
	Function ObjectID `json:"function,omitempty"`
	Args     []string `json:"args,omitempty"`
	Revision uint64   `json:"revision,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
	// OldTable and NewTable are what the body calls the rows that the statement has written,
	// as they were and as they are; "": it does not.
	OldTable string `json:"oldTable,omitempty"`
	NewTable string `json:"newTable,omitempty"`
	// Constraint says that it is a constraint: fired at the statement's end or, if it is
	// Deferrable, maybe by COMMIT, as at first if Deferred.
	Constraint bool   `json:"constraint,omitempty"`
	Deferrable bool   `json:"deferrable,omitempty"`
	Deferred   bool   `json:"deferred,omitempty"`
	Comment    string `json:"comment,omitempty"`
}

// On reports whether the trigger is for an event.
func (t *TableTrigger) On(event string) bool { return slices.Contains(t.Events, event) }

// Deferral is when a constraint trigger is fired.
func (t *TableTrigger) Deferral() Deferral {
	return Deferral{ID: t.ID, Deferrable: t.Deferrable, Deferred: t.Deferred}
}

// complete reports whether it has all that a trigger has.
func (t *TableTrigger) complete() bool {
	return t.ID != 0 && t.Name != "" && len(t.Events) > 0 && (t.Body == "") == (t.Function != 0)
}

// Trigger returns the trigger called name.
func (c *Collection) Trigger(name string) (*TableTrigger, bool) {
	for i := range c.Triggers {
		if c.Triggers[i].Name == name {
			return &c.Triggers[i], true
		}
	}
	return nil, false
}

func (c *Collection) validateTriggers(columns map[ColumnID]bool) error {
	names := map[string]bool{}
	for i := range c.Triggers {
		t := &c.Triggers[i]
		switch {
		case !t.complete():
			return fmt.Errorf("the trigger %q has no id, no name, no event or nothing that it does", t.Name)
		case t.Timing != BeforeRows && t.Timing != AfterRows:
			return fmt.Errorf("the trigger %q fires at the unknown time %q", t.Name, t.Timing)
		case names[t.Name]:
			return fmt.Errorf("the trigger %q is listed twice", t.Name)
		}
		names[t.Name] = true
		for _, id := range t.Columns {
			if !columns[id] {
				return fmt.Errorf("the trigger %q names the unknown column %d", t.Name, id)
			}
		}
	}
	return nil
}
