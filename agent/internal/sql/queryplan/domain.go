package queryplan

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Domain is what the values of a domain have to be.
type Domain struct {
	schema, name string

	notNull bool
	checks  []Check // over a row of the one value
}

// DomainColumn is a column of a domain.
type DomainColumn struct {
	Column int
	Domain *Domain
}

// CompileDomain compiles what a domain demands.
func CompileDomain(o *cluster.Object, schema string) (*Domain, error) {
	out := &Domain{schema: schema, name: o.Name, notNull: o.Domain.NotNull}
	s, err := valueScope(o)
	if err != nil {
		return nil, err
	}
	for _, k := range o.Domain.Checks {
		node, err := syntax.ParseExpression(k.Expression)
		if err != nil {
			return nil, err
		}
		e, err := kept(s).check(node)
		if err != nil {
			return nil, err
		}
		out.checks = append(out.checks, Check{Name: k.Name, Value: e})
	}
	return out, nil
}

// valueScope is that of a domain's CHECK, in which VALUE is the value.
func valueScope(o *cluster.Object) (*scope, error) {
	row := &cluster.Object{Kind: cluster.KindTable, Name: o.Name, Collection: &cluster.Collection{
		Columns: []cluster.Column{{ID: 1, Name: "value", Type: o.Domain.Type, Modifier: o.Domain.Modifier}}}}
	t, err := catalog.Scope{}.NewTable(row, nil)
	if err != nil {
		return nil, err
	}
	return tableScope(t, ""), nil
}

// SoundDomain says what is wrong with the expressions of a domain. Those of constraints
// that stand in the statement may name types.
func SoundDomain(o *cluster.Object, constraints []syntax.Constraint, find Finder) error {
	s, err := valueScope(o)
	if err != nil {
		return err
	}
	c := written(s, find)
	c.elsewhere = true // PostgreSQL tells no positions in domains
	for i := range constraints {
		if k := &constraints[i]; k.Node != nil {
			if _, err := c.check(k.Node); err != nil {
				return err
			}
		}
	}
	if _, err := CompileDomain(o, ""); err != nil {
		return err
	}
	column := s.relations[0].table.Columns[0]
	column.Name, column.Default = o.Name, o.Domain.Default
	e, err := CompileDefault(column, &Uses{})
	if err == nil {
		err = ofOneZone(e)
	}
	return err
}

// Check says why a value is none of the domain.
func (d *Domain) Check(env *Env, v datum.Datum) error {
	if v.Null && d.notNull {
		return &syntax.Error{Code: "23502", Message: fmt.Sprintf("domain %s does not allow null values", d.name), Schema: d.schema, DataType: d.name}
	}
	row := env.Row
	defer func() { env.Row = row }()
	env.Row = []datum.Datum{v}
	for _, k := range d.checks {
		holds, err := k.Value.Eval(env)
		if err != nil {
			return err
		}
		if !holds.Null && !holds.Bool() {
			return &syntax.Error{Code: "23514", Message: fmt.Sprintf("value for domain %s violates check constraint %q", d.name, k.Name), Schema: d.schema, DataType: d.name, Constraint: k.Name}
		}
	}
	return nil
}

// ofDomain computes e and checks that it is of a domain.
func ofDomain(e Expr, r catalog.Resolved) (Expr, error) {
	d, err := CompileDomain(r.User, r.Schema)
	if err != nil {
		return nil, err
	}
	return &fn{typ: e.Type(), args: []Expr{e}, stable: true, eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		return a[0], d.Check(env, a[0])
	}}, nil
}

// namedEnums has a statement of the slow path name enums and composite types in the way that
// it knows. Casts to
// domains are refused: it does not check them.
func (p *Planner) namedEnums(s *pg.SelectStmt) (*pg.SelectStmt, error) {
	if p.Type == nil {
		return s, nil
	}
	own := map[*pg.TypeName]datum.Type{}
	find := func(c *pg.TypeName) error {
		name, err := syntax.ConvertType(c)
		if err != nil {
			return nil //nolint:nilerr // the slow path says what is wrong with it
		}
		r, err := p.Type(name)
		if err != nil && name.Array { // of a domain it is refused where the type is found
			of := name
			of.Array = false
			if elem, failed := p.Type(of); failed == nil && elem.User != nil && elem.User.Domain != nil {
				return err
			}
		}
		if err != nil || r.User == nil {
			return nil //nolint:nilerr // as above
		}
		if r.User.Domain != nil {
			return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("a cast to the domain %s in this statement is not supported", r.User.Name),
				Hint: "Cast to the type that it is of.", Position: name.Position}
		}
		own[c] = r.Type
		return nil
	}
	if err := syntax.EachType(s, find); err != nil || len(own) == 0 {
		return s, err
	}
	s = proto.Clone(s).(*pg.SelectStmt) //nolint:forcetypeassert // a clone is what it was
	clear(own)
	err := syntax.EachType(s, find)
	for c, t := range own {
		c.Names = []*pg.Node{stringNode(syntax.EnumTypeName(uint32(t.Elem())))}
	}
	return s, err
}
