package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Callable is a function of a user as those who call it see it.
type Callable struct {
	Object *cluster.Object
	// Args are what a call gives, in their order.
	Args []CallableArg
	// Result is the type of what it gives, Unknown where it is no single value.
	Result datum.Type
	// Columns are what a call in FROM gives.
	Columns []CallableColumn
	// Body is what it does if that is bound; nil: its text says so.
	Body *Body
}

// CallableArg is a parameter; Default is "" if there is none.
type CallableArg struct {
	Name    string
	Type    datum.Type
	Default string
}

// CallableColumn is a column of a function in FROM, or the field of one that is a row.
type CallableColumn struct {
	Name     string
	Type     datum.Type
	Modifier int32
	// Of is the column whose field it is; "": it is one itself.
	Of string
}

// Callable describes a function; ok is false if it is of a type that is not known here.
func (s Scope) Callable(o *cluster.Object) (*Callable, bool) { return s.callable(o, s.fields) }

// fields are the columns of a relation that a function gives as a row.
func (s Scope) fields(id cluster.ObjectID) (out []CallableColumn) {
	row, ok := s.Object(id)
	if !ok || row.Collection == nil {
		return nil
	}
	if t, err := s.TableOf(row); err == nil {
		for _, c := range t.Columns {
			if !c.Hidden {
				out = append(out, CallableColumn{Name: c.Name, Type: c.Type, Modifier: c.Modifier})
			}
		}
	}
	return out
}

func (s Scope) callable(o *cluster.Object, fields func(cluster.ObjectID) []CallableColumn) (*Callable, bool) {
	f := o.Function
	out := &Callable{Object: o}
	var err error
	if out.Body, err = s.Body(o); err != nil {
		return nil, false
	}
	for _, p := range f.Given() {
		t, ok := s.ValueType(p.ValueType)
		if !ok {
			return nil, false
		}
		out.Args = append(out.Args, CallableArg{p.Name, t, p.Default})
	}
	switch f.Returns.Type {
	case cluster.TriggerType, cluster.VoidType:
	case cluster.RecordType:
		for i, p := range f.Outputs() {
			name := cmp.Or(p.Name, fmt.Sprintf("column%d", i+1))
			if p.Type == cluster.RowType {
				for _, c := range fields(p.UserType) {
					c.Of = name
					out.Columns = append(out.Columns, c)
				}
				continue
			}
			t, _ := s.ValueType(p.ValueType)
			out.Columns = append(out.Columns, CallableColumn{Name: name, Type: t, Modifier: -1})
		}
	case cluster.RowType:
		out.Columns = fields(f.Returns.UserType)
	default:
		out.Result, _ = s.ValueType(f.Returns)
		name := o.Name
		if given := f.Outputs(); len(given) == 1 && given[0].Name != "" {
			name = given[0].Name
		}
		out.Columns = []CallableColumn{{Name: name, Type: out.Result, Modifier: -1}}
	}
	return out, true
}

// callTexts are the expressions of a table in which functions of users stand by their ids.
func callTexts(rows *cluster.Collection) []*string {
	var out []*string
	for i := range rows.Columns {
		out = append(out, &rows.Columns[i].Default, &rows.Columns[i].Generated)
	}
	for i := range rows.Checks {
		out = append(out, &rows.Checks[i].Expression)
	}
	for i := range rows.Indexes {
		out = append(out, rows.Indexes[i].Texts()...)
	}
	for i := range rows.Policies {
		out = append(out, &rows.Policies[i].Using, &rows.Policies[i].Check)
	}
	return out
}

// calledBy are the functions that texts call.
func calledBy(texts ...*string) (out []cluster.ObjectID) {
	for _, text := range texts {
		for _, id := range syntax.FunctionIDs(*text) {
			out = append(out, cluster.ObjectID(id))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// callables describes what the expressions of a table call.
func (s Scope) callables(rows *cluster.Collection) (map[cluster.ObjectID]*Callable, error) {
	var out map[cluster.ObjectID]*Callable
	todo := calledBy(callTexts(rows)...)
	for len(todo) > 0 {
		id := todo[0]
		if todo = todo[1:]; out[id] != nil {
			continue
		}
		o, ok := s.Object(id)
		if !ok {
			return nil, fmt.Errorf("function %d, which an expression calls, is not there", id)
		}
		f, ok := s.callable(o, func(cluster.ObjectID) []CallableColumn { return nil }) // none of them gives a row
		if !ok {
			return nil, fmt.Errorf("function %q is of a type that is not known", o.Name)
		}
		if out == nil {
			out = map[cluster.ObjectID]*Callable{}
		}
		out[id] = f
		todo = append(todo, functionCalls(o.Function)...) // it may be put in where it is called
	}
	return out, nil
}

// functionCalls are the functions that a function calls by their ids.
func functionCalls(f *cluster.Function) []cluster.ObjectID {
	var texts []*string
	for i := range f.Parameters {
		texts = append(texts, &f.Parameters[i].Default)
	}
	if f.Standard {
		texts = append(texts, &f.Body)
	}
	return calledBy(texts...)
}

// through are a function and those that call it by its id, by themselves or by others.
func (s Scope) through(function cluster.ObjectID) []cluster.ObjectID {
	out := []cluster.ObjectID{function}
	for i := 0; i < len(out); i++ {
		for _, o := range s.objects(func(o *cluster.Object) bool {
			return o.Function != nil && slices.Contains(o.Needs, out[i]) && !slices.Contains(out, o.ID)
		}) {
			out = append(out, o.ID)
		}
	}
	return out
}

// callsAny reports whether texts call one of the functions.
func callsAny(functions []cluster.ObjectID, texts ...*string) bool {
	return slices.ContainsFunc(calledBy(texts...), func(id cluster.ObjectID) bool { return slices.Contains(functions, id) })
}

// bindCalls has the functions that the expressions of a table that is made or changed call
// stand by their ids.
func (s Scope) bindCalls(o *cluster.Object) error {
	if s.Bind == nil {
		return nil
	}
	var t *Table
	var err error
	for _, text := range callTexts(o.Collection) {
		if *text == "" {
			continue
		}
		if t == nil {
			if t, err = s.NewTable(o, nil); err != nil {
				return err
			}
		}
		if *text, err = s.Bind(s, t, *text); err != nil {
			return err
		}
	}
	return nil
}

// NamedCalls shows a text in which functions stand by their ids, by names along the path.
func (s Scope) NamedCalls(text string) string {
	return syntax.NameFunctions(text, func(id uint64) (string, bool) {
		o, ok := s.Object(cluster.ObjectID(id))
		if !ok {
			return "", false
		}
		return s.FunctionName(o), true
	})
}

// holdsIndex refuses another body of a function that an index is over: its entries are where
// the body that it has now puts them.
func (s Scope) holdsIndex(f *cluster.Object) error {
	all := s.through(f.ID)
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Collection != nil }) {
		for i := range o.Collection.Indexes {
			x := &o.Collection.Indexes[i]
			if callsAny(all, x.Texts()...) {
				return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("cannot change function %s, which index %s is over", s.described(f), x.Name),
					Detail: "The entries of the index are where the function as it is now puts them.",
					Hint:   fmt.Sprintf("Drop index %s, change the function, and make the index again.", x.Name)}
			}
		}
	}
	return nil
}

// settleCalls takes away what calls functions that are gone in a table.
func (s Scope) settleCalls(next *Draft, gone *going) (lines, cascades []string, err error) {
	s.Draft = next
	is := func(id cluster.ObjectID) bool { return gone.objects[id] != nil && gone.objects[id].Function != nil }
	for _, o := range s.objects(func(o *cluster.Object) bool {
		return o.Collection != nil && gone.objects[o.ID] == nil && slices.ContainsFunc(calledBy(callTexts(o.Collection)...), is)
	}) {
		c := &caller{s: s, gone: gone, is: is, a: newAlteration(o)}
		c.a.ask.Own, c.a.scope = next.Made, s
		if err := c.settle(); err != nil && gone.cascade {
			return nil, nil, err
		}
		lines, cascades = append(lines, c.lines...), append(cascades, c.what...)
		if !gone.cascade {
			continue
		}
		if c.a.object.Needs, err = NeedsOf(c.a.object); err != nil {
			return nil, nil, err
		}
		next.alter(s, o, c.a.object)
	}
	return lines, cascades, nil
}

// caller is a table that calls functions that are gone.
type caller struct {
	s           Scope
	gone        *going
	is          func(cluster.ObjectID) bool
	a           *alteration
	lines, what []string
}

// calls tells of something that calls one of them.
func (c *caller) calls(what string, texts ...*string) bool {
	for _, id := range calledBy(texts...) {
		if c.is(id) {
			c.lines = append(c.lines, fmt.Sprintf("%s depends on function %s", what, c.s.described(c.gone.objects[id])))
			c.what = append(c.what, what)
			return true
		}
	}
	return false
}

// settle takes all of that away from the copy of the table.
func (c *caller) settle() error {
	rows, table := c.a.rows, c.s.pathName(c.a.object)
	var drop []goingColumn
	for i := range rows.Columns {
		column := &rows.Columns[i]
		if c.calls(fmt.Sprintf("default value for column %s of table %s", column.Name, table), &column.Default) {
			column.Default = ""
		}
		if what := fmt.Sprintf("column %s of table %s", column.Name, table); c.calls(what, &column.Generated) {
			drop = append(drop, goingColumn{c.a.object, column.ID, column.Name})
		}
	}
	c.gone.columns = append(c.gone.columns, drop...)
	rows.Checks = slices.DeleteFunc(rows.Checks, func(k cluster.Check) bool {
		return !k.Leaving && c.calls(fmt.Sprintf("constraint %s on table %s", k.Name, table), &k.Expression)
	})
	var indexes []cluster.Index
	for i := range rows.Indexes {
		if x := &rows.Indexes[i]; c.calls("index "+x.Name, x.Texts()...) {
			indexes = append(indexes, *x)
		}
	}
	rows.Policies = slices.DeleteFunc(slices.Clone(rows.Policies), func(p cluster.Policy) bool {
		return c.calls(fmt.Sprintf("policy %s on table %s", p.Name, table), &p.Using, &p.Check)
	})
	for i := range indexes {
		if c.a.others(indexes[i].ID) {
			return syntax.Unsupported(fmt.Sprintf("dropping a function with index %s, which is over it, of a table that others may read", indexes[i].Name), "Drop the index first.")
		}
		c.a.forget(indexes[i].ID)
	}
	for _, d := range drop {
		if err := c.a.dropColumn(&syntax.DropColumn{Name: d.name, Drop: syntax.Drop{Cascade: true}}); err != nil {
			return err
		}
		if c.a.stays(d.id) {
			return syntax.Unsupported(fmt.Sprintf("dropping column %q, which an index is over, of a table that others may read", d.name), "Drop the column first.")
		}
	}
	return nil
}
