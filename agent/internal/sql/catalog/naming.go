package catalog

import (
	"fmt"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// naming has what is kept by numbers, of a view or of the body of a function, be called by the
// names that things have now.
type naming struct {
	in    Scope
	of    string // whose text it is, for errors
	reads []cluster.ViewRead
}

// names has all of m but what a statement changes be called so.
func (n *naming) names(m proto.Message) error {
	return syntax.EachNumbered(m, syntax.Numbered{
		Relation: func(r *pg.RangeVar) error {
			if r.GetSchemaname() != ReadSchema {
				return nil
			}
			read, object, err := n.relation(r)
			if err != nil {
				return err
			}
			if called, same := calledAs(read, ReadColumns(object), r.GetAlias().GetColnames()); !same {
				r.Alias.Colnames = called
			}
			return nil
		},
		Type:     func(id uint64) (syntax.Name, error) { return n.object(id) },
		Sequence: func(id uint64) (syntax.Name, error) { return n.object(id) },
	})
}

// object is the present name of an object.
func (n *naming) object(id uint64) (syntax.Name, error) {
	o, ok := n.in.Object(cluster.ObjectID(id))
	if !ok {
		return syntax.Name{}, fmt.Errorf("%s names object %d, which is not there", n.of, id)
	}
	schema, ok := n.in.Object(o.Parent)
	if !ok {
		return syntax.Name{}, fmt.Errorf("%s names object %d, whose schema is not there", n.of, id)
	}
	return syntax.Name{Schema: schema.Name, Name: o.Name}, nil
}

// relation has a number be the present name of what it stands for.
func (n *naming) relation(r *pg.RangeVar) (*cluster.ViewRead, *cluster.Object, error) {
	number, err := strconv.Atoi(r.GetRelname())
	if err != nil || number < 1 || number > len(n.reads) {
		return nil, nil, fmt.Errorf("%s reads %q, which is nothing", n.of, r.GetRelname())
	}
	read := &n.reads[number-1]
	name, err := n.object(uint64(read.Object))
	if err != nil {
		return nil, nil, err
	}
	r.Schemaname, r.Relname = name.Schema, name.Name
	o, _ := n.in.Object(read.Object)
	return read, o, nil
}

// target has what a statement changes be called by its present name, and its columns by theirs.
func (n *naming) target(q *syntax.Query) error {
	r := q.Target()
	if r == nil {
		return nil
	}
	read, object, err := n.relation(r)
	if err != nil {
		return err
	}
	renamed := map[string]string{}
	for _, c := range ReadColumns(object) {
		if i := slices.IndexFunc(read.Columns, func(was cluster.ReadColumn) bool { return was.ID == c.ID }); i >= 0 && read.Columns[i].Name != c.Name {
			renamed[read.Columns[i].Name] = c.Name
		}
	}
	if len(renamed) > 0 {
		q.RenameTarget(renamed)
	}
	return nil
}

// calledAs are the names that a view has for the columns that there are now; given are
// those of an alias in the view, of the first columns that it knew. same says that there
// is nothing to be called otherwise.
func calledAs(read *cluster.ViewRead, now []cluster.ReadColumn, given []*pg.Node) (called []*pg.Node, same bool) {
	same = len(given) == 0
	for _, c := range now {
		name := c.Name
		switch was := slices.IndexFunc(read.Columns, func(was cluster.ReadColumn) bool { return was.ID == c.ID }); {
		case was >= 0 && was < len(given):
			name = given[was].GetString_().GetSval()
		case was >= 0:
			name = read.Columns[was].Name
		case !same || slices.ContainsFunc(read.Columns, func(was cluster.ReadColumn) bool { return was.Name == c.Name }):
			name = "#" + strconv.Itoa(int(c.ID)) // it is none that the view knows
		}
		same = same && name == c.Name
		called = append(called, pg.MakeStrNode(name))
	}
	return called, same
}

// Body is what a function whose body is in one of the standard's forms does, by the names that
// things have now. It is immutable.
type Body struct {
	Desc *cluster.Object
	// Statements are not to be changed.
	Statements []*syntax.Query

	// needs are what it names, and the schemas that they are in.
	needs []*cluster.Object
}

// Same reports whether b means what other does.
func (b *Body) Same(other *Body) bool {
	return b == other || b != nil && other != nil && b.Desc == other.Desc && slices.Equal(b.needs, other.needs)
}

// Body returns the prepared form of a function's body, which is kept until something that it
// names is another; nil: the function has none in one of the standard's forms.
func (s Scope) Body(o *cluster.Object) (*Body, error) {
	if o.Function == nil || !o.Function.Standard {
		return nil, nil //nolint:nilnil // as it says
	}
	b := &Body{Desc: o}
	for _, id := range o.Needs {
		needed, ok := s.Object(id)
		if !ok {
			return nil, fmt.Errorf("function %q needs object %d, which is not there", o.Name, id)
		}
		schema, _ := s.Object(needed.Parent)
		b.needs = append(b.needs, needed, schema)
	}
	keep := s.catalog != nil && o.ID != 0 // else it is to be made, or asked for once
	if keep {
		s.catalog.bodies.Lock()
		kept := s.catalog.bodies.of[o.ID]
		s.catalog.bodies.Unlock()
		if kept.Same(b) {
			return kept, nil
		}
	}
	var err error
	if b.Statements, err = syntax.ParseStatements(o.Function.Body); err != nil {
		return nil, fmt.Errorf("function %q: %w", o.Name, err)
	}
	n := &naming{in: s, of: fmt.Sprintf("function %q", o.Name), reads: o.Function.Reads}
	for _, q := range b.Statements {
		if err := n.target(q); err != nil {
			return nil, err
		}
		if err := n.names(q.Tree()); err != nil {
			return nil, err
		}
	}
	if keep {
		c := s.catalog
		c.bodies.Lock()
		defer c.bodies.Unlock()
		if len(c.bodies.of) > len(s.View.Objects)+1000 {
			clear(c.bodies.of) // what was dropped would stay for ever
		}
		c.bodies.of[o.ID] = b
	}
	return b, nil
}
