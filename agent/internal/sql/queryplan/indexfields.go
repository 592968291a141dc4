package queryplan

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// IndexFields has the names in CREATE INDEX of a schemaless collection that are no columns
// mean fields of its documents.
func IndexFields(table *catalog.Table, stmt *syntax.CreateIndex) (*syntax.CreateIndex, error) {
	item := fieldItem{alias: table.Name(), documents: true}
	for i := range table.Columns {
		item.columns = append(item.columns, table.Columns[i].Name)
	}
	l := &fieldLevel{items: []fieldItem{item}}
	r := &fieldResolver{planner: &Planner{}}
	resolve := func(text string, use fieldUse) (string, error) {
		if text == "" {
			return "", nil
		}
		node, err := syntax.ParseExpression(text)
		if err == nil {
			err = r.value(node, l, use)
		}
		if err != nil {
			return "", err
		}
		return syntax.ExpressionText(node)
	}
	out := *stmt
	out.Elements = nil
	for _, e := range stmt.Elements {
		var err error
		if e.Column != "" && !item.has(e.Column) {
			e.Part = e.Column
			e.Column, e.Expr = "", quotedColumn(e.Column)
		} else if path, ok := writtenPath(e.Expr); ok {
			e.Part = strings.Join(path, "_")
		}
		if e.Expr, err = resolve(e.Expr, anyValue); err != nil {
			return nil, err
		}
		out.Elements = append(out.Elements, e)
	}
	var err error
	out.Where, err = resolve(stmt.Where, asBool)
	return &out, err
}

func quotedColumn(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// writtenPath are the names of a field that an expression is.
func writtenPath(text string) ([]string, bool) {
	if text == "" {
		return nil, false
	}
	node, err := syntax.ParseExpression(text)
	if err != nil {
		return nil, false
	}
	path, _, ok := fieldPath(node)
	return path, ok
}
