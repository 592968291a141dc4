package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// documentInsert is an INSERT into a schemaless collection with the _id of each document
// in its own column: that which it has, or a new one.
func documentInsert(s *pg.InsertStmt) *pg.InsertStmt {
	sel := s.GetSelectStmt().GetSelectStmt()
	if sel == nil { // DEFAULT VALUES
		return s
	}
	named := make([]string, 0, len(s.GetCols()))
	for _, n := range s.GetCols() {
		named = append(named, n.GetResTarget().GetName())
	}
	at := slices.Index(named, catalog.DocumentColumn)
	switch {
	case len(named) == 0 && valuesWidth(s) <= 1 && len(sel.GetTargetList()) <= 1:
		at = 0
	case len(named) == 0, at < 0, slices.Contains(named, catalog.DocumentKey):
		return s // the _id is given, or there is no document
	}
	out := proto.CloneOf(s)
	if len(named) == 0 {
		out.Cols = []*pg.Node{columnTarget(catalog.DocumentColumn)}
	}
	out.Cols = append(out.Cols, columnTarget(catalog.DocumentKey))
	if lists := out.GetSelectStmt().GetSelectStmt().GetValuesLists(); len(lists) > 0 {
		for _, n := range lists {
			takeID(n.GetList(), at)
		}
		return out
	}
	out.SelectStmt = &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: selectWithID(out.GetSelectStmt(), out.GetCols(), at)}}
	return out
}

func columnTarget(name string) *pg.Node {
	return &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: name, Location: -1}}}
}

// takeID appends the _id of the document at a place of a row, and takes it out of that.
func takeID(row *pg.List, at int) {
	if at >= len(row.GetItems()) || row.Items[at].GetSetToDefault() != nil {
		row.Items = append(row.Items, &pg.Node{Node: &pg.Node_SetToDefault{SetToDefault: &pg.SetToDefault{}}})
		return
	}
	document := row.Items[at]
	if bareString(document) || document.GetParamRef() != nil {
		document = jsonCast(document)
	}
	row.Items[at] = callNode("document_body", document)
	row.Items = append(row.Items, newID(proto.CloneOf(document)))
}

// jsonCast is n::jsonb.
func jsonCast(n *pg.Node) *pg.Node {
	out := jsonConst("")
	out.GetTypeCast().Arg = n
	return out
}

// newID is the _id of a document, or a new one.
func newID(document *pg.Node) *pg.Node {
	text := &pg.TypeName{Names: []*pg.Node{stringNode("pg_catalog"), stringNode("text")}, Typemod: -1, Location: -1}
	random := &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: callNode("gen_random_uuid"), TypeName: text, Location: -1}}}
	return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{callNode("document_id", document), random}, Location: -1}}}
}

// selectWithID is SELECT of a query's columns, the document without its _id, and that.
func selectWithID(query *pg.Node, cols []*pg.Node, at int) *pg.SelectStmt {
	const rows = "rows"
	alias := &pg.Alias{Aliasname: rows}
	out := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	for i, n := range cols[:len(cols)-1] {
		name := n.GetResTarget().GetName()
		alias.Colnames = append(alias.Colnames, stringNode(name))
		column := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{stringNode(rows), stringNode(name)}, Location: -1}}}
		if i == at {
			column = callNode("document_body", jsonCast(column))
		}
		out.TargetList = append(out.TargetList, resTarget(column))
	}
	document := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{stringNode(rows), stringNode(catalog.DocumentColumn)}, Location: -1}}}
	out.TargetList = append(out.TargetList, resTarget(newID(jsonCast(document))))
	out.FromClause = []*pg.Node{{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: query, Alias: alias}}}}
	return out
}
