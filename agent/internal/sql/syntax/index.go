package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// CreateIndex is CREATE INDEX. Expressions are SQL text.
type CreateIndex struct {
	Name         string // "": one is to be made up
	Table        Name
	Unique       bool
	Concurrently bool
	IfNotExists  bool
	Method       string // btree if none was given
	Elements     []IndexElement
	Include      []string
	Where        string
	// NullsNotDistinct is of unique ones.
	NullsNotDistinct bool
	Options          []Option
}

// IndexElement is one of what an index is over: a column or an expression.
type IndexElement struct {
	Column, Expr string
	// Part is what stands for it in names that are made up; "": its name.
	Part       string `json:",omitempty"`
	OpClass    Name
	Descending bool
	// NullsFirst is nil if nothing was said: then nulls are greater than all values.
	NullsFirst *bool
}

// Reindex is REINDEX.
type Reindex struct {
	// Kind is INDEX, TABLE, SCHEMA, DATABASE or SYSTEM.
	Kind         string
	Name         Name // of DATABASE and SYSTEM it may be empty
	Concurrently bool
}

func (*CreateIndex) node() {}
func (*Reindex) node()     {}

func convertIndex(n *pg.IndexStmt) (Node, *Error) {
	out := &CreateIndex{Name: n.GetIdxname(), Unique: n.GetUnique(), Concurrently: n.GetConcurrent(), IfNotExists: n.GetIfNotExists(),
		Method: n.GetAccessMethod(), NullsNotDistinct: n.GetNullsNotDistinct(), Options: options(n.GetOptions())}
	var err *Error
	if out.Table, err = relationName(n.GetRelation()); err != nil {
		return nil, err
	}
	if n.GetTableSpace() != "" {
		return nil, Unsupported("TABLESPACE", "")
	}
	for _, p := range n.GetIndexParams() {
		e, err := indexElement(p.GetIndexElem(), out.Table.Position)
		if err != nil {
			return nil, err
		}
		out.Elements = append(out.Elements, e)
	}
	for _, p := range n.GetIndexIncludingParams() {
		if p.GetIndexElem().GetExpr() != nil {
			return nil, Unsupported("an expression in INCLUDE", "")
		}
		out.Include = append(out.Include, p.GetIndexElem().GetName())
	}
	if w := n.GetWhereClause(); w != nil {
		out.Where, err = deparse(w)
	}
	return out, err
}

func indexElement(e *pg.IndexElem, position int) (IndexElement, *Error) {
	out := IndexElement{Column: e.GetName(), Descending: e.GetOrdering() == pg.SortByDir_SORTBY_DESC}
	if len(e.GetCollation()) > 0 {
		return out, unsupportedAt("COLLATE", "Text is ordered by its bytes.", position)
	}
	if e.GetNullsOrdering() != pg.SortByNulls_SORTBY_NULLS_DEFAULT {
		first := e.GetNullsOrdering() == pg.SortByNulls_SORTBY_NULLS_FIRST
		out.NullsFirst = &first
	}
	var err *Error
	if len(e.GetOpclass()) > 0 {
		if out.OpClass, err = listName(e.GetOpclass()); err != nil {
			return out, err
		}
	}
	if e.GetExpr() != nil {
		out.Expr, err = deparse(e.GetExpr())
	}
	return out, err
}

// reindexKinds are the words of REINDEX.
var reindexKinds = map[pg.ReindexObjectType]string{
	pg.ReindexObjectType_REINDEX_OBJECT_INDEX: "INDEX", pg.ReindexObjectType_REINDEX_OBJECT_TABLE: "TABLE", pg.ReindexObjectType_REINDEX_OBJECT_SCHEMA: "SCHEMA",
	pg.ReindexObjectType_REINDEX_OBJECT_SYSTEM: "SYSTEM", pg.ReindexObjectType_REINDEX_OBJECT_DATABASE: "DATABASE",
}

func convertReindex(n *pg.ReindexStmt) (Node, *Error) {
	out := &Reindex{Kind: reindexKinds[n.GetKind()], Name: Name{Name: n.GetName()}}
	for _, o := range options(n.GetParams()) {
		if o.Name == "concurrently" {
			out.Concurrently = o.Value != "false" && o.Value != "off" && o.Value != "0"
		}
	}
	var err *Error
	if n.GetRelation() != nil {
		out.Name, err = relationName(n.GetRelation())
	}
	return out, err
}
