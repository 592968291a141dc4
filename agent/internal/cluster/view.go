package cluster

import (
	"errors"
	"fmt"
)

// View is what an object that shows what a query gives says of that.
type View struct {
	// Query is its SQL text. In it what is read stands as "#"."1" for the first of Reads,
	// with the names of the columns that Reads says, whatever they are called now.
	Query   string       `json:"query"`
	Columns []ViewColumn `json:"columns"`
	Reads   []ViewRead   `json:"reads,omitempty"`
	// CheckOption is LOCAL or CASCADED: what is written through the view has to be seen
	// by it.
	CheckOption string `json:"checkOption,omitempty"`
	// Invoker says that who reads it needs the rights on what it reads, and not its owner: the
	// policies there are the reader's, too. Option is security_invoker as it was written.
	Invoker bool   `json:"invoker,omitempty"`
	Option  string `json:"option,omitempty"`
	// Triggers are those of the view, by name: INSTEAD OF, and of statements.
	Triggers []TableTrigger `json:"triggers,omitempty"`
	// Populated, of a materialized view, says that it has rows that the query gave.
	Populated bool `json:"populated,omitempty"`
}

// ViewColumn is a column of a view. Its id is its number, from 1: columns of a view are
// only ever added.
type ViewColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Modifier int32  `json:"modifier"`
	Comment  string `json:"comment,omitempty"`
}

// ViewRead is an object that a view, or the body of a function, names.
type ViewRead struct {
	Object  ObjectID     `json:"object"`
	Columns []ReadColumn `json:"columns"`
}

// ReadColumn is a column of it by the name that the text of the view has for it: the one
// that it had when the view was made.
type ReadColumn struct {
	ID   ColumnID `json:"id"`
	Name string   `json:"name"`
	// Used says that the view needs the column, and not only the object.
	Used bool `json:"used,omitempty"`
}

// Read finds what the view reads of an object.
func (v *View) Read(id ObjectID) (*ViewRead, bool) { return readOf(v.Reads, id) }

func readOf(list []ViewRead, id ObjectID) (*ViewRead, bool) {
	for i := range list {
		if list[i].Object == id {
			return &list[i], true
		}
	}
	return nil, false
}

// Uses reports whether the column is needed.
func (r *ViewRead) Uses(id ColumnID) bool {
	for _, c := range r.Columns {
		if c.ID == id {
			return c.Used
		}
	}
	return false
}

func (v *View) validate() error {
	if v.Query == "" || len(v.Columns) == 0 {
		return errors.New("a view has a query, and columns")
	}
	names := map[string]bool{}
	for _, c := range v.Columns {
		if c.Name == "" || c.Type == "" || names[c.Name] {
			return fmt.Errorf("column %q has no type, or is listed twice", c.Name)
		}
		names[c.Name] = true
	}
	return v.validateTriggers()
}

// validateTriggers says what is wrong with the triggers of a view.
func (v *View) validateTriggers() error {
	names := map[string]bool{}
	for i := range v.Triggers {
		t := &v.Triggers[i]
		switch {
		case !t.complete() || len(t.Columns) > 0:
			return fmt.Errorf("the trigger %q has no id, no name, no event or nothing that it does, or has columns", t.Name)
		case t.Row != (t.Timing == InsteadOfRows) || !t.Row && t.Timing != BeforeRows && t.Timing != AfterRows:
			return fmt.Errorf("the trigger %q of a view fires at the unknown time %q", t.Name, t.Timing)
		case names[t.Name]:
			return fmt.Errorf("the trigger %q is listed twice", t.Name)
		}
		names[t.Name] = true
	}
	return nil
}

// Trigger returns the trigger called name.
func (v *View) Trigger(name string) (*TableTrigger, bool) {
	for i := range v.Triggers {
		if v.Triggers[i].Name == name {
			return &v.Triggers[i], true
		}
	}
	return nil, false
}
