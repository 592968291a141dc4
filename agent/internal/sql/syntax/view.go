package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// CreateView is CREATE VIEW.
type CreateView struct {
	Name      Name
	Replace   bool
	Temporary bool
	Columns   []string // new names of the first ones
	// Query is what the view shows: to be planned, and its SQL text to be kept.
	Query *Query `json:"-"`
	SQL   string
	// CheckOption is LOCAL or CASCADED; "": none.
	CheckOption string
	Options     []Option
}

// CreateTableAs is CREATE TABLE AS, SELECT INTO or CREATE MATERIALIZED VIEW.
type CreateTableAs struct {
	// Word is COLLECTION, TABLE or MATERIALIZED VIEW; SELECT INTO has the command tag of
	// a SELECT.
	Word        string
	SelectInto  bool
	Name        Name
	IfNotExists bool
	Temporary   bool
	OnCommit    string
	Columns     []string
	Query       *Query `json:"-"`
	SQL         string // of Query
	WithNoData  bool
	Storage
}

// RefreshMaterializedView is REFRESH MATERIALIZED VIEW.
type RefreshMaterializedView struct {
	Name         Name
	Concurrently bool
	WithNoData   bool
}

func (*CreateView) node()              {}
func (*CreateTableAs) node()           {}
func (*RefreshMaterializedView) node() {}

// checkOptions are the words of WITH CHECK OPTION.
var checkOptions = map[pg.ViewCheckOption]string{pg.ViewCheckOption_LOCAL_CHECK_OPTION: "LOCAL", pg.ViewCheckOption_CASCADED_CHECK_OPTION: "CASCADED"}

func convertView(n *pg.ViewStmt) (Node, *Error) {
	out := &CreateView{Replace: n.GetReplace(), Temporary: temporary(n.GetView()), Columns: texts(n.GetAliases()),
		Query: &Query{Select: n.GetQuery().GetSelectStmt()}, CheckOption: checkOptions[n.GetWithCheckOption()], Options: options(n.GetOptions())}
	var err *Error
	if out.Name, err = relationName(n.GetView()); err == nil {
		out.SQL, err = viewText(n.GetQuery())
	}
	return out, err
}

// viewText is the text of a query that is made an object of.
func viewText(n *pg.Node) (string, *Error) {
	if hasInto(n.GetSelectStmt()) {
		return "", Unsupported("SELECT INTO here", "")
	}
	return deparseStatement(n)
}

// intoOf finds the INTO of a SELECT, which stands in the first of those that UNION and its
// like join.
func intoOf(s *pg.SelectStmt) (holder *pg.SelectStmt) {
	for ; s != nil; s = s.GetLarg() {
		if s.GetIntoClause() != nil {
			return s
		}
	}
	return nil
}

func hasInto(s *pg.SelectStmt) bool { return intoOf(s) != nil }

// convertSelectInto makes of SELECT INTO what CREATE TABLE AS is.
func convertSelectInto(s *pg.SelectStmt) (Node, *Error) {
	holder := intoOf(s)
	into := holder.GetIntoClause()
	holder.IntoClause = nil
	node, err := createTableAs(&pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}, into, "TABLE")
	if err != nil {
		return nil, err
	}
	node.SelectInto = true
	return node, nil
}

func convertCreateTableAs(n *pg.CreateTableAsStmt, word string) (Node, *Error) {
	if n.GetObjtype() == pg.ObjectType_OBJECT_MATVIEW {
		word = string(KindMaterializedView)
	}
	out, err := createTableAs(n.GetQuery(), n.GetInto(), word)
	if err != nil {
		return nil, err
	}
	out.IfNotExists = n.GetIfNotExists()
	return out, nil
}

func createTableAs(query *pg.Node, into *pg.IntoClause, word string) (*CreateTableAs, *Error) {
	if query.GetSelectStmt() == nil {
		return nil, Unsupported("PREPARE in SQL", "Use the extended protocol, as drivers do.")
	}
	out := &CreateTableAs{Word: word, Temporary: temporary(into.GetRel()), OnCommit: onCommit(into.GetOnCommit()),
		Columns: texts(into.GetColNames()), Query: &Query{Select: query.GetSelectStmt()}, WithNoData: into.GetSkipData()}
	if into.GetAccessMethod() != "" || into.GetTableSpaceName() != "" {
		return nil, Unsupported("USING (access method) and TABLESPACE", "")
	}
	var err *Error
	if out.Name, err = relationName(into.GetRel()); err != nil {
		return nil, err
	}
	if out.Storage, err = storage(into.GetOptions()); err != nil {
		return nil, err
	}
	out.SQL, err = viewText(query)
	return out, err
}

func convertRefresh(n *pg.RefreshMatViewStmt) (Node, *Error) {
	name, err := relationName(n.GetRelation())
	if err == nil && n.GetConcurrent() && n.GetSkipData() {
		err = &Error{Code: codeSyntax, Message: "REFRESH options CONCURRENTLY and WITH NO DATA cannot be used together", Position: name.Position}
	}
	return &RefreshMaterializedView{Name: name, Concurrently: n.GetConcurrent(), WithNoData: n.GetSkipData()}, err
}
