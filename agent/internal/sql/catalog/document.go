package catalog

import (
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// The columns of a collection that is made without any: what a document is known by, and
// all else of it.
const (
	DocumentKey    = "_id"
	DocumentColumn = "doc"
)

// schemaless is CREATE COLLECTION without columns, with those of a collection of documents.
func schemaless(stmt *syntax.CreateCollection) *syntax.CreateCollection {
	const check = "jsonb_typeof(" + DocumentColumn + ") = 'object' AND NOT jsonb_exists(" + DocumentColumn + ", '" + DocumentKey + "')"
	node, err := syntax.ParseExpression(check)
	if err != nil {
		panic(err)
	}
	out := *stmt
	out.Columns = []syntax.ColumnDef{
		{Name: DocumentKey, Type: syntax.TypeName{Name: "text"}, NotNull: true, Default: "gen_random_uuid()::text"},
		{Name: DocumentColumn, Type: syntax.TypeName{Name: "jsonb"}, NotNull: true, Default: "'{}'"},
	}
	out.Constraints = []syntax.Constraint{
		{Kind: syntax.PrimaryKey, Columns: []string{DocumentKey}},
		{Kind: syntax.Check, Columns: []string{DocumentColumn}, Expr: check, Node: node},
	}
	return &out
}

// Schemaless reports whether rows are documents, whose fields are named as columns.
func (t *Table) Schemaless() bool { return t.Desc.Collection.Schemaless }

// Document is the index of the column that holds a document.
func (t *Table) Document() int {
	i, ok := t.ColumnIndex(DocumentColumn)
	if !ok {
		return -1
	}
	return i
}
