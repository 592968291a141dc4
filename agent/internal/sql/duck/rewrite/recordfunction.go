package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
)

// recordFields are the columns of functions of PostgreSQL's that tell of objects and give rows.
// A call of one is taken apart before anything else is looked at: each column is a call.
//
//nolint:gochecknoglobals // a constant table
var recordFields = map[string][]string{
	"aclexplode":             {"grantor", "grantee", "privilege_type", "is_grantable"},
	"pg_sequence_parameters": {"start_value", "minimum_value", "maximum_value", "increment", "cycle_option", "cache_size", "data_type"},
	"pg_identify_object":     {"type", "schema", "name", "identity"},
}

// catalogFunctions are functions without arguments whose rows a catalog has.
//
//nolint:gochecknoglobals // a constant table
var catalogFunctions = map[string]string{
	"pg_get_keywords": "nd_keyword", "pg_show_all_settings": "pg_settings", "pg_timezone_names": "pg_timezone_names", "pg_timezone_abbrevs": "pg_timezone_abbrevs",
	"pg_available_extensions": "pg_available_extensions", "pg_available_extension_versions": "pg_available_extension_versions", "pg_lock_status": "pg_locks",
	listeningChannels: "nd_channel",
}

// listeningChannels is a function of the session; nd_channel has its rows.
const listeningChannels = "pg_listening_channels"

// channels are its rows in the SELECT list.
func channels() *pg.Node {
	list := &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithVal(pg.MakeColumnRefNode([]*pg.Node{str("channel")}, -1), -1)},
		FromClause:  []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Schemaname: "pg_catalog", Relname: "nd_channel", Inh: true, Relpersistence: "p", Location: -1}}}},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	return ownCall("unnest", &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{SubLinkType: pg.SubLinkType_ARRAY_SUBLINK, Subselect: selectNode(list), Location: -1}}})
}

// recordCall is a call of a function that gives rows, nil: it is none.
func recordCall(n *pg.Node) *pg.FuncCall {
	f := n.GetFuncCall()
	if f == nil || recordFields[lastName(f.Funcname)] == nil {
		return nil
	}
	return f
}

// takeRecords takes calls of functions that give rows apart, in all of a statement.
func takeRecords(s *pg.SelectStmt) {
	found := false
	visit(s.ProtoReflect(), func(n *pg.Node) {
		name := lastName(n.GetFuncCall().GetFuncname())
		found = found || recordFields[name] != nil || catalogFunctions[name] != "" || informationTexts[name] != "" || name == "pg_relation_is_updatable"
	})
	if found {
		takeRecordsIn(s.ProtoReflect())
	}
}

func takeRecordsIn(m protoreflect.Message) {
	if n, ok := m.Interface().(*pg.Node); ok && n.GetRangeFunction() != nil { // before what is in it
		takeRecord(n)
	}
	if t, ok := m.Interface().(*pg.ResTarget); ok && t.Name == "" {
		if name := lastName(t.Val.GetFuncCall().GetFuncname()); name == listeningChannels || informationTexts[name] != "" {
			t.Name = name
		}
	}
	if t, ok := m.Interface().(*pg.ResTarget); ok && t.Name == "" && recordCall(t.Val.GetAIndirection().GetArg()) != nil {
		t.Name = lastName(t.Val.GetAIndirection().Indirection) // which it keeps; none of a star
	}
	children(m, takeRecordsIn)
	switch x := m.Interface().(type) {
	case *pg.SelectStmt:
		passRecords(x)
		x.TargetList = starsOf(x.TargetList)
	case *pg.Node:
		takeRecord(x)
		takeInformation(x)
		takeMask(x)
	}
}

// takeRecord is (f(x)).field, and f(x) in FROM.
func takeRecord(n *pg.Node) {
	if f := n.GetFuncCall(); lastName(f.GetFuncname()) == listeningChannels && len(f.Args) == 0 {
		n.Node = channels().Node
		return
	}
	if i := n.GetAIndirection(); i != nil && len(i.Indirection) == 1 {
		if f, field := recordCall(i.Arg), i.Indirection[0].GetString_().GetSval(); f != nil && field != "" {
			if call := fieldCall(f, field, false); call != nil {
				n.Node = call.Node
			}
		}
		return
	}
	rf := n.GetRangeFunction()
	if len(rf.GetFunctions()) != 1 || rf.Ordinality || len(rf.Coldeflist) > 0 {
		return
	}
	call := rf.Functions[0].GetList().GetItems()[0]
	name := lastName(call.GetFuncCall().GetFuncname())
	alias := rf.Alias
	if alias == nil {
		alias = &pg.Alias{Aliasname: name}
	}
	if table, ok := catalogFunctions[name]; ok && len(call.GetFuncCall().Args) == 0 {
		if name == listeningChannels && len(alias.Colnames) == 0 { // one column is called as the function
			alias.Colnames = []*pg.Node{str(alias.Aliasname)}
		}
		n.Node = &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Schemaname: "pg_catalog", Relname: table, Inh: true, Relpersistence: "p", Alias: alias, Location: call.GetFuncCall().Location}}
		return
	}
	f := recordCall(call)
	if f == nil {
		return
	}
	sub := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	if name == "aclexplode" {
		sub.FromClause = []*pg.Node{rangeFunction(ownCall("unnest", items(f)), &pg.Alias{Aliasname: "nd_acl", Colnames: []*pg.Node{str("nd_item")}})}
	}
	for _, field := range recordFields[name] {
		sub.TargetList = append(sub.TargetList, pg.MakeResTargetNodeWithNameAndVal(field, fieldCall(f, field, true), -1))
	}
	n.Node = &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Lateral: true, Subquery: selectNode(sub), Alias: alias}}
}

// ownCall is a call before anything is rewritten.
func ownCall(name string, args ...*pg.Node) *pg.Node {
	return pg.MakeFuncCallNode([]*pg.Node{str(name)}, args, -1)
}

// items are the privileges of an ACL one by one; the numbers of roles are those of pg_authid.
func items(f *pg.FuncCall) *pg.Node {
	column := func(name string) *pg.Node { return pg.MakeColumnRefNode([]*pg.Node{str(name)}, -1) }
	or := func(a, b *pg.Node) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, a, b, -1)
	}
	role := or(or(ownCall("quote_ident", castTo(column("rolname"), "text")), text("=")), castTo(column("oid"), "text"))
	roles := &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithVal(ownCall("string_agg", role, text("\n")), -1)},
		FromClause:  []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Schemaname: "pg_catalog", Relname: "pg_authid", Inh: true, Relpersistence: "p", Location: -1}}}},
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	var args []*pg.Node
	for _, a := range f.Args {
		args = append(args, clone(a))
	}
	return ownCall(builtin.ACLItems, append(args, &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{SubLinkType: pg.SubLinkType_EXPR_SUBLINK, Subselect: selectNode(roles), Location: -1}}})...)
}

// fieldCall is one column of the rows of f, nil: they have none of the name. inFrom says that
// its privileges are in FROM.
func fieldCall(f *pg.FuncCall, field string, inFrom bool) *pg.Node {
	name := lastName(f.Funcname)
	at := -1
	for i, known := range recordFields[name] {
		if known == field {
			at = i
		}
	}
	switch {
	case at < 0:
		return nil
	case name != "aclexplode":
		var args []*pg.Node
		for _, a := range f.Args {
			args = append(args, clone(a))
		}
		return pg.MakeFuncCallNode([]*pg.Node{str(name + "." + field)}, args, f.Location)
	}
	item := pg.MakeColumnRefNode([]*pg.Node{str("nd_acl"), str("nd_item")}, -1)
	if !inFrom {
		item = ownCall("unnest", items(f))
	}
	types := []string{"oid", "oid", "text", "bool"}
	return castTo(ownCall("split_part", item, text("|"), integer(int64(at+1))), types[at])
}

// fieldColumn is what a column of rows of a subquery is called.
func fieldColumn(column, field string) string { return column + "|" + field }

// passRecords has subqueries that give rows of such a function as a column, SELECT f(x) AS d,
// give its fields, and (d).field be one of them.
func passRecords(s *pg.SelectStmt) {
	given := map[string]string{} // the functions, by the columns
	for _, f := range s.FromClause {
		givenBy(f, given)
	}
	for _, c := range s.WithClause.GetCtes() {
		splitTargets(c.GetCommonTableExpr().GetCtequery().GetSelectStmt(), given)
	}
	if len(given) == 0 {
		return
	}
	for _, n := range s.TargetList { // which keep their names
		if t := n.GetResTarget(); t.Name == "" && fieldNamed(t.Val.GetTypeCast().GetArg(), given) {
			t.Name = FigureName(t.Val)
		}
	}
	visit(s.ProtoReflect(), func(n *pg.Node) {
		i := n.GetAIndirection()
		ref := i.GetArg().GetColumnRef()
		name := lastName(ref.GetFields())
		if field := i.GetIndirection(); given[name] != "" && len(field) == 1 && field[0].GetString_() != nil {
			n.Node = recordField(ref, field[0].GetString_().Sval).Node
		}
	})
	var list []*pg.Node
	for _, n := range s.TargetList {
		i := n.GetResTarget().GetVal().GetAIndirection()
		ref := i.GetArg().GetColumnRef()
		if fields := i.GetIndirection(); len(fields) != 1 || fields[0].GetAStar() == nil || given[lastName(ref.GetFields())] == "" {
			list = append(list, n)
			continue
		}
		for _, field := range recordFields[given[lastName(ref.Fields)]] {
			list = append(list, pg.MakeResTargetNodeWithNameAndVal(field, recordField(ref, field), -1))
		}
	}
	s.TargetList = list
	for _, n := range list { // a field keeps its name
		t := n.GetResTarget()
		if _, field, ok := cutField(t.GetVal().GetColumnRef(), given); ok && t.Name == "" {
			t.Name = field
		}
	}
}

// fieldNamed reports whether an expression is a field of such a row, or a cast of one.
func fieldNamed(n *pg.Node, given map[string]string) bool {
	if t := n.GetTypeCast(); t != nil {
		return fieldNamed(t.Arg, given)
	}
	return given[lastName(n.GetAIndirection().GetArg().GetColumnRef().GetFields())] != ""
}

// recordField is the column that a field of a column is.
func recordField(ref *pg.ColumnRef, field string) *pg.Node {
	fields := append([]*pg.Node(nil), ref.Fields...)
	fields[len(fields)-1] = str(fieldColumn(lastName(ref.Fields), field))
	return pg.MakeColumnRefNode(fields, ref.Location)
}

// cutField is the reverse of fieldColumn.
func cutField(ref *pg.ColumnRef, given map[string]string) (column, field string, ok bool) {
	column, field, ok = strings.Cut(lastName(ref.GetFields()), "|")
	return column, field, ok && given[column] != ""
}

// givenBy notes the columns of an item of FROM that are rows of such a function.
func givenBy(n *pg.Node, given map[string]string) {
	if j := n.GetJoinExpr(); j != nil {
		givenBy(j.Larg, given)
		givenBy(j.Rarg, given)
		return
	}
	splitTargets(n.GetRangeSubselect().GetSubquery().GetSelectStmt(), given)
}

// splitTargets puts the fields in the places of such columns.
func splitTargets(s *pg.SelectStmt, given map[string]string) {
	var list []*pg.Node
	for _, n := range s.GetTargetList() {
		t := n.GetResTarget()
		f := recordCall(t.GetVal())
		if f == nil {
			list = append(list, n)
			continue
		}
		name := t.Name
		if name == "" {
			name = lastName(f.Funcname)
		}
		given[name] = lastName(f.Funcname)
		for _, field := range recordFields[given[name]] {
			list = append(list, pg.MakeResTargetNodeWithNameAndVal(fieldColumn(name, field), fieldCall(f, field, false), -1))
		}
	}
	if s != nil {
		s.TargetList = list
	}
}

// starsOf puts the fields in the places of (f(x)).*, and gives (f(x)).field its name.
func starsOf(targets []*pg.Node) []*pg.Node {
	var list []*pg.Node
	for _, n := range targets {
		i := n.GetResTarget().GetVal().GetAIndirection()
		f := recordCall(i.GetArg())
		if f == nil || len(i.Indirection) != 1 || i.Indirection[0].GetAStar() == nil {
			list = append(list, n)
			continue
		}
		for _, field := range recordFields[lastName(f.Funcname)] {
			list = append(list, pg.MakeResTargetNodeWithNameAndVal(field, fieldCall(f, field, false), -1))
		}
	}
	return list
}
