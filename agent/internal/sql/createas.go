package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// truncate runs TRUNCATE.
func (s *Session) truncate(ctx context.Context, node *syntax.Truncate, at time.Time) (string, error) {
	tag := "TRUNCATE " + node.Word
	return tag, s.truncateFired(ctx, node, at, func() error {
		_, err := s.alter(ctx, tag, func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
			return s.server.catalog.Truncate(ctx, in, node)
		})
		return err
	})
}

// createAs runs CREATE TABLE AS and SELECT INTO: the table and its rows are made in one
// transaction.
func (s *Session) createAs(ctx context.Context, node *syntax.CreateTableAs, at time.Time) (tag string, err error) {
	temporary, err := s.forTemporary(node.Temporary, node.Name)
	if err == nil {
		err = checkOnCommit(temporary, node.OnCommit)
	}
	if err != nil {
		return "", err
	}
	if s.onCommit = s.onCommit || node.OnCommit != ""; temporary {
		inside := *node
		inside.Temporary = true
		node = &inside
	}
	return s.asOne(ctx, at, func() (string, error) { return s.createFrom(ctx, node, at) })
}

// asOne runs a statement of several parts as one transaction, or in the one that there is.
// As every statement that stands alone it is run again when others came first.
func (s *Session) asOne(ctx context.Context, at time.Time, run func() (string, error)) (tag string, err error) {
	if s.tx != nil {
		return run()
	}
	for {
		s.open(s.defaults(), at)
		if tag, err = run(); err != nil {
			s.endTransaction(true)
		} else {
			err = s.finish(ctx)
		}
		if err == nil || AsError(err).Code != "40001" || ctx.Err() != nil {
			return tag, err
		}
	}
}

func (s *Session) createFrom(ctx context.Context, node *syntax.CreateTableAs, at time.Time) (string, error) {
	tag, materialized := "CREATE "+node.Word+" AS", node.Word == string(syntax.KindMaterializedView)
	if materialized {
		tag = "CREATE " + node.Word
	}
	query, existed := node.SQL, false
	var columns []catalog.Column
	var err error
	if !materialized {
		if columns, err = s.shownColumns(ctx, node.SQL, node.Query); err != nil {
			return "", err
		}
	}
	name := node.Name
	err = s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		node := *node
		if node.Temporary {
			if in, name, err = s.inTemporary(ctx, in, node.Name); err != nil {
				return nil, err
			}
			node.Name = name
		}
		if !materialized {
			next, existed, err = s.server.catalog.CreateAs(ctx, in, &node, s.user, columns)
			return next, err
		}
		show, err := s.showing(ctx, in, node.SQL, node.Query)
		if err == nil {
			query = show.Text
			next, existed, err = s.server.catalog.CreateMaterialized(ctx, in, &node, show)
		}
		return next, err
	})
	switch {
	case err != nil:
		return "", err
	case existed:
		s.notice("NOTICE", "42P07", "relation %q already exists, skipping", node.Name.Name)
		return tag, nil
	case node.WithNoData:
		s.ignored(node.Ignored)
		return tag, nil
	}
	s.ignored(node.Ignored)
	n, err := s.fill(ctx, name, query, at)
	return "SELECT " + n, err
}

// shownColumns are what a query gives that has no parameters.
func (s *Session) shownColumns(ctx context.Context, text string, q *syntax.Query) ([]catalog.Column, error) {
	query := &Prepared{statement: &syntax.Statement{Text: text, Node: q}}
	if err := s.prepareQuery(ctx, query, q); err != nil {
		return nil, err
	}
	if len(query.ParamOIDs) > 0 {
		return nil, &Error{Code: "42P02", Message: "there is no parameter $1"}
	}
	var columns []catalog.Column
	for _, c := range query.plan.Columns {
		switch {
		case c.RowType != 0:
			return nil, syntax.Unsupported("a column of rows of a table", "Select the columns of the row.")
		case c.Type == datum.Record:
			return nil, &Error{Code: "42P16", Message: fmt.Sprintf("column \"%s\" has pseudo-type record", c.Name)}
		}
		columns = append(columns, catalog.Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier})
	}
	return columns, nil
}

// fill puts the rows that a query gives into what the transaction has made, and returns
// how many they are.
func (s *Session) fill(ctx context.Context, to syntax.Name, query string, at time.Time) (rows string, err error) {
	s.filling = true
	defer func() { s.filling = false }()
	name := quoteName(to.Name)
	if to.Schema != "" {
		name = quoteName(to.Schema) + "." + name
	}
	insert, err := s.Prepare(ctx, "INSERT INTO "+name+" "+query, nil)
	if err != nil {
		return "", err
	}
	q := insert.statement.Node.(*syntax.Query) //nolint:forcetypeassert // it is an INSERT
	done, err := s.runQuery(ctx, insert, q, nil, nobody{}, at)
	return strings.TrimPrefix(done, "INSERT 0 "), err
}

// quoteName writes a name so that it is read as it is.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
