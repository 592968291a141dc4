package sql

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

const (
	// maxNamed is how many prepared statements a session keeps by name, those of the
	// protocol's Parse included.
	maxNamed = 10_000
	// maxNamedCost is about how much memory those of PREPARE may take together. The others
	// are counted where they are made.
	maxNamedCost = 16 << 20
)

// namedStatement is a statement that a name was given to, by PREPARE or by the protocol: they
// share their names.
type namedStatement struct {
	prepared *Prepared
	text     string // as the client sent it
	at       time.Time
	cost     int64 // of one that PREPARE has made, and so not 0
}

// Name gives a name to a prepared statement.
func (s *Session) Name(name string, p *Prepared) error {
	return s.name(name, namedStatement{prepared: p, text: p.statement.Text})
}

func (s *Session) name(name string, n namedStatement) error {
	if _, ok := s.named[name]; ok {
		return &Error{Code: "42P05", Message: fmt.Sprintf("prepared statement %q already exists", name)}
	}
	if len(s.named) >= maxNamed {
		return &Error{Code: "53400", Message: fmt.Sprintf("more than %d prepared statements in one session", maxNamed), Hint: "Close or DEALLOCATE statements that are not needed any more."}
	}
	if s.namedCost+n.cost > maxNamedCost {
		return &Error{Code: "53200", Message: "out of memory", Detail: fmt.Sprintf("A session may keep %d MiB of statements that PREPARE has made.", maxNamedCost>>20), Hint: "DEALLOCATE statements that are not needed any more."}
	}
	if s.named == nil {
		s.named = map[string]namedStatement{}
	}
	n.at = s.server.cfg.Now()
	s.named[name] = n
	s.namedCost += n.cost
	return nil
}

// Named is the prepared statement of a name.
func (s *Session) Named(name string) (*Prepared, bool) {
	n, ok := s.named[name]
	return n.prepared, ok
}

// Unname takes a name away from its statement.
func (s *Session) Unname(name string) {
	s.namedCost -= s.named[name].cost
	delete(s.named, name)
}

// prepareNamed carries PREPARE out.
func (s *Session) prepareNamed(ctx context.Context, node *syntax.PrepareStatement, text string) (string, error) {
	statement, err := s.server.parsed.Parse(node.Text)
	if err != nil {
		return "", err
	}
	p := &Prepared{statement: statement}
	for _, t := range node.Types {
		r, err := s.scope().ResolveAnyType(t)
		if err != nil {
			return "", err
		}
		p.announced = append(p.announced, r.Type)
	}
	if err := s.prepareQuery(ctx, p, statement.Node.(*syntax.Query)); err != nil { //nolint:forcetypeassert // the parser has looked
		return "", unplaced(err)
	}
	return "PREPARE", s.name(node.Name, namedStatement{prepared: p, text: text, cost: syntax.Cost(text)})
}

// shownNamed are the rows of pg_prepared_statements, by name.
func (s *Session) shownNamed() []pgcatalog.PreparedStatement {
	var out []pgcatalog.PreparedStatement
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		n := s.named[name]
		types := []int{}
		for _, oid := range n.prepared.ParamOIDs {
			types = append(types, int(oid))
		}
		out = append(out, pgcatalog.PreparedStatement{Name: name, Statement: n.text, Prepared: n.at, Parameters: types, FromSQL: n.cost > 0})
	}
	return out
}

// deallocate carries DEALLOCATE out.
func (s *Session) deallocate(node *syntax.Deallocate) (string, error) {
	if node.All {
		s.named, s.namedCost = nil, 0
		return "DEALLOCATE ALL", nil
	}
	if _, ok := s.named[node.Name]; !ok {
		return "", errUnnamed(node.Name)
	}
	s.Unname(node.Name)
	return "DEALLOCATE", nil
}

func errUnnamed(name string) *Error {
	return &Error{Code: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)}
}

// unplaced is an error that does not say where: its text is not the one that the client sent.
func unplaced(err error) error {
	told := *AsError(err)
	told.Position = 0
	return &told
}

// describeNamed says which rows EXECUTE gives.
func (s *Session) describeNamed(p *Prepared, node *syntax.ExecuteStatement) error {
	of, ok := s.Named(node.Name)
	if !ok {
		return errUnnamed(node.Name)
	}
	if p.Columns = of.Columns; node.Explain != nil {
		p.Columns = explainColumns(node.Explain)
	}
	return nil
}

// executeNamed carries EXECUTE out.
func (s *Session) executeNamed(ctx context.Context, node *syntax.ExecuteStatement, sink RowSink, at time.Time) (string, error) {
	of, ok := s.Named(node.Name)
	if !ok {
		return "", errUnnamed(node.Name)
	}
	if want, got := len(of.ParamTypes), len(node.Arguments); want != got {
		return "", &Error{Code: "42601", Message: fmt.Sprintf("wrong number of parameters for prepared statement %q", node.Name),
			Detail: fmt.Sprintf("Expected %d parameters but got %d.", want, got)}
	}
	var args []datum.Datum
	for i, text := range node.Arguments {
		v, err := s.argument(ctx, text, i+1, of.ParamTypes[i], at)
		if err != nil {
			return "", err
		}
		args = append(args, v)
	}
	if node.Explain != nil {
		q := *of.statement.Node.(*syntax.Query) //nolint:forcetypeassert // nothing else is prepared by PREPARE
		q.Explain = node.Explain
		of = &Prepared{statement: &syntax.Statement{Text: of.statement.Text, Node: &q}, announced: of.ParamTypes}
		if err := s.prepareQuery(ctx, of, &q); err != nil {
			return "", unplaced(err)
		}
	}
	tag, err := s.execute(ctx, of, args, sink, at)
	if err != nil {
		err = unplaced(err)
	}
	return tag, err
}

// argument computes a value for a parameter, whose type it is assigned to.
func (s *Session) argument(ctx context.Context, text string, number int, t datum.Type, at time.Time) (datum.Datum, error) {
	e, err := syntax.ParseExpression(text)
	if err != nil {
		return datum.Datum{}, err
	}
	if e.GetRowExpr() != nil && t.IsComposite() {
		e = queryplan.CastTo(e, t)
	}
	if c := e.GetAConst(); c.GetIsnull() || c.GetSval() != nil { // of no type yet
		e = queryplan.CastTo(e, t)
	}
	v, err := s.valueOf(ctx, e, at)
	if err == nil && !queryplan.Assignable(v.Type, t) {
		err = &Error{Code: "42804", Message: fmt.Sprintf("parameter $%d of type %s cannot be coerced to the expected type %s", number, v.Type.SQLName(), t.SQLName()), Hint: "You will need to rewrite or cast the expression."}
	}
	if err == nil {
		v, err = queryplan.Assign(s.bodyEnv(ctx, at), v, t, -1)
	}
	if err != nil {
		return datum.Datum{}, unplaced(err)
	}
	return v, nil
}

// valueOf computes an expression that stands on its own.
func (s *Session) valueOf(ctx context.Context, e *pg.Node, at time.Time) (datum.Datum, error) {
	text, err := syntax.ExpressionText(e)
	if err != nil {
		return datum.Datum{}, err
	}
	stmt, err := syntax.Parse("SELECT " + text)
	if err != nil {
		return datum.Datum{}, err
	}
	q := stmt.Node.(*syntax.Query) //nolint:forcetypeassert // it begins with SELECT
	p := &Prepared{statement: stmt}
	if err := s.prepareQuery(ctx, p, q); err != nil {
		return datum.Datum{}, err
	}
	var rows held
	if _, err := s.runQuery(ctx, p, q, nil, &rows, at); err != nil {
		return datum.Datum{}, err
	}
	if len(rows.rows) != 1 || len(rows.rows[0]) != 1 {
		return datum.Datum{}, &Error{Code: "42601", Message: fmt.Sprintf("%s is not one value", text)}
	}
	return rows.rows[0][0], nil
}
