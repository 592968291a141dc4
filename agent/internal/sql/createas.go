package sql

import (
	"context"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// truncate runs TRUNCATE.
func (s *Session) truncate(ctx context.Context, node *syntax.Truncate) (string, error) {
	tag := "TRUNCATE " + node.Word
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.Truncate(ctx, in, node)
	})
}

// createAs runs CREATE TABLE AS and SELECT INTO: the table and its rows are made in one
// transaction.
func (s *Session) createAs(ctx context.Context, node *syntax.CreateTableAs, at time.Time) (tag string, err error) {
	switch {
	case node.Word == string(syntax.KindMaterializedView):
		return "", syntax.Unsupported("CREATE MATERIALIZED VIEW", "")
	case node.Temporary:
		return "", syntax.Unsupported("CREATE TEMPORARY TABLE", "")
	case s.tx != nil:
		return s.createFrom(ctx, node, at)
	}
	s.open(s.defaults(), at)
	if tag, err = s.createFrom(ctx, node, at); err != nil {
		s.endTransaction(true)
		return "", err
	}
	return tag, s.finish(ctx)
}

func (s *Session) createFrom(ctx context.Context, node *syntax.CreateTableAs, at time.Time) (string, error) {
	tag := "CREATE " + node.Word + " AS"
	query := &Prepared{statement: &syntax.Statement{Text: node.SQL, Node: node.Query}}
	if err := s.prepareQuery(ctx, query, node.Query); err != nil {
		return "", err
	}
	if len(query.ParamOIDs) > 0 {
		return "", &Error{Code: "42P02", Message: "there is no parameter $1"}
	}
	var columns []catalog.Column
	for _, c := range query.plan.Columns {
		columns = append(columns, catalog.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier})
	}
	existed := false
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, existed, err = s.server.catalog.CreateAs(ctx, in, node, s.user, columns)
		return next, err
	})
	switch {
	case err != nil:
		return "", err
	case existed:
		s.notice("NOTICE", "42P07", "relation %q already exists, skipping", node.Name.Name)
		return tag, nil
	case node.WithNoData:
		return tag, nil
	}
	name := quoteName(node.Name.Name)
	if node.Name.Schema != "" {
		name = quoteName(node.Name.Schema) + "." + name
	}
	insert, err := s.Prepare(ctx, "INSERT INTO "+name+" "+node.SQL, nil)
	if err != nil {
		return "", err
	}
	q := insert.statement.Node.(*syntax.Query) //nolint:forcetypeassert // it is an INSERT
	done, err := s.runQuery(ctx, insert, q, nil, nobody{}, at)
	if err != nil {
		return "", err
	}
	return "SELECT " + strings.TrimPrefix(done, "INSERT 0 "), nil
}

// quoteName writes a name so that it is read as it is.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
