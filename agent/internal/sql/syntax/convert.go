package syntax

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// convert turns PostgreSQL's tree into what NodeDB works with. word is what the
// statement called a table.
func convert(stmt *pg.Node, word string) (Node, *Error) {
	if node, err, ok := convertRole(stmt); ok {
		return node, err
	}
	switch n := stmt.GetNode().(type) {
	case *pg.Node_SelectStmt:
		if n.SelectStmt.GetIntoClause() != nil {
			return nil, Unsupported("SELECT INTO", "Use CREATE TABLE, then INSERT INTO ... SELECT.")
		}
		return &Query{Select: n.SelectStmt}, nil
	case *pg.Node_InsertStmt:
		return &Query{Insert: n.InsertStmt}, nil
	case *pg.Node_UpdateStmt:
		return &Query{Update: n.UpdateStmt}, nil
	case *pg.Node_DeleteStmt:
		return &Query{Delete: n.DeleteStmt}, nil
	case *pg.Node_ExplainStmt:
		return convertExplain(n.ExplainStmt)
	case *pg.Node_CreateStmt:
		return convertCreate(n.CreateStmt, word)
	case *pg.Node_DropStmt:
		return convertDrop(n.DropStmt, word)
	case *pg.Node_VariableShowStmt:
		return &ShowSetting{Name: fold(n.VariableShowStmt.GetName())}, nil
	case *pg.Node_VariableSetStmt:
		return convertSet(n.VariableSetStmt)
	case *pg.Node_AlterSystemStmt:
		return convertAlterSystem(n.AlterSystemStmt)
	case *pg.Node_TransactionStmt:
		return convertTransaction(n.TransactionStmt)
	case *pg.Node_DiscardStmt:
		return convertDiscard(n.DiscardStmt)
	case *pg.Node_UnlistenStmt: // nobody listens
		return &Discard{Tag: "UNLISTEN"}, nil
	case *pg.Node_ClosePortalStmt:
		if name := n.ClosePortalStmt.GetPortalname(); name != "" {
			return nil, &Error{Code: "34000", Message: "cursor " + strconv.Quote(name) + " does not exist"}
		}
		return &Discard{Tag: "CLOSE CURSOR ALL"}, nil
	case *pg.Node_DeallocateStmt:
		if n.DeallocateStmt.GetIsall() {
			return &Discard{Tag: "DEALLOCATE ALL"}, nil
		}
		return &Discard{Tag: "DEALLOCATE"}, nil
	default:
		return nil, unsupportedStatement(stmt)
	}
}

func convertExplain(e *pg.ExplainStmt) (Node, *Error) {
	analyze := false
	for _, o := range e.GetOptions() {
		switch name := o.GetDefElem().GetDefname(); name {
		case "verbose", "costs", "format", "timing", "summary":
		case "analyze":
			analyze = !isOff(o.GetDefElem().GetArg())
		default:
			return nil, Unsupported("EXPLAIN "+name, "EXPLAIN shows how the statement would be run, EXPLAIN ANALYZE how it was run.")
		}
	}
	node, err := convert(e.GetQuery(), "TABLE")
	if err != nil {
		return nil, err
	}
	q, ok := node.(*Query)
	if !ok {
		return nil, Unsupported("EXPLAIN of this statement", "")
	}
	q.Explain, q.Analyze = true, analyze
	return q, nil
}

// isOff reads an option that is on unless it says otherwise.
func isOff(n *pg.Node) bool {
	value := n.GetString_().GetSval()
	if value == "" {
		value, _ = constantText(n)
	}
	return value == "off" || value == "false" || value == "0" || n.GetInteger() != nil && n.GetInteger().GetIval() == 0
}

// unsupportedStatement says what to do instead, where there is something.
func unsupportedStatement(stmt *pg.Node) *Error {
	switch stmt.GetNode().(type) {
	case *pg.Node_CopyStmt:
		return Unsupported("COPY", "Use INSERT with several rows.")
	case *pg.Node_AlterTableStmt, *pg.Node_RenameStmt:
		if movesPool(stmt.GetAlterTableStmt()) {
			return Unsupported("moving a collection to another pool", "Create a collection WITH (pool = ...) and copy the rows with INSERT INTO ... SELECT.")
		}
		return Unsupported("ALTER TABLE", "Create a new collection and copy the rows with INSERT INTO ... SELECT.")
	case *pg.Node_TruncateStmt:
		return Unsupported("TRUNCATE", "Use DELETE FROM, or drop the collection and create it again.")
	case *pg.Node_IndexStmt:
		return Unsupported("CREATE INDEX", "The primary key is the only index so far.")
	case *pg.Node_ViewStmt:
		return Unsupported("CREATE VIEW", "")
	case *pg.Node_CreateTableAsStmt:
		return Unsupported("CREATE TABLE AS", "Use CREATE TABLE, then INSERT INTO ... SELECT.")
	case *pg.Node_GrantStmt:
		return Unsupported("GRANT of privileges on objects", "Every user may read and write every collection; roles of the admin API are granted with GRANT nodedb_operator TO user.")
	case *pg.Node_PrepareStmt, *pg.Node_ExecuteStmt:
		return Unsupported("PREPARE in SQL", "Use the extended protocol, as drivers do.")
	case *pg.Node_DeclareCursorStmt, *pg.Node_FetchStmt:
		return Unsupported("a cursor in SQL", "Use the extended protocol with a row limit, as drivers do.")
	case *pg.Node_ListenStmt, *pg.Node_NotifyStmt:
		return Unsupported("LISTEN and NOTIFY", "")
	case *pg.Node_CreateSchemaStmt:
		return Unsupported("CREATE SCHEMA", "All collections live in the schema public.")
	case *pg.Node_CreatedbStmt:
		return Unsupported("CREATE DATABASE", "A cluster is one database.")
	default:
		return Unsupported("this statement", "")
	}
}

// unsupportedParts names what of CREATE TABLE is not offered, "" if all is.
func unsupportedParts(c *pg.CreateStmt) string {
	switch {
	case c.GetRelation().GetRelpersistence() == "t":
		return "CREATE TEMPORARY TABLE"
	case c.GetRelation().GetCatalogname() != "":
		return "a database name in front of a table"
	case len(c.GetInhRelations()) > 0 || c.GetPartbound() != nil:
		return "table inheritance"
	case c.GetPartspec() != nil:
		return "PARTITION BY"
	case c.GetOfTypename() != nil:
		return "CREATE TABLE OF"
	case c.GetTablespacename() != "":
		return "TABLESPACE"
	case c.GetAccessMethod() != "":
		return "USING (access method)"
	default:
		return ""
	}
}

func convertCreate(c *pg.CreateStmt, word string) (Node, *Error) {
	if part := unsupportedParts(c); part != "" {
		return nil, Unsupported(part, "")
	}
	r := c.GetRelation()
	out := &CreateCollection{Word: word, IfNotExists: c.GetIfNotExists(),
		Name: Name{Schema: r.GetSchemaname(), Name: r.GetRelname(), Position: Position(r.GetLocation())}}
	var err *Error
	if out.Pool, out.PoolPosition, err = storage(c.GetOptions()); err != nil {
		return nil, err
	}
	for _, e := range c.GetTableElts() {
		switch n := e.GetNode().(type) {
		case *pg.Node_ColumnDef:
			if err := out.addColumn(n.ColumnDef); err != nil {
				return nil, err
			}
		case *pg.Node_Constraint:
			if err := out.addConstraint(n.Constraint, nil); err != nil {
				return nil, err
			}
		default:
			return nil, Unsupported("LIKE in CREATE TABLE", "Write the columns.")
		}
	}
	return out, nil
}

func (out *CreateCollection) addColumn(c *pg.ColumnDef) *Error {
	pos := Position(c.GetLocation())
	if c.GetCollClause() != nil {
		return &Error{Code: codeNotSupported, Message: "COLLATE is not supported", Hint: "Text is ordered by its bytes.", Position: pos}
	}
	t, err := convertType(c.GetTypeName())
	if err != nil {
		return err
	}
	out.Columns = append(out.Columns, ColumnDef{Name: c.GetColname(), Position: pos, Type: t})
	def := &out.Columns[len(out.Columns)-1]
	for _, k := range c.GetConstraints() {
		if err := out.addConstraint(k.GetConstraint(), def); err != nil {
			return err
		}
	}
	return nil
}

// addConstraint takes over a constraint of a column, or of the table (column nil).
func (out *CreateCollection) addConstraint(c *pg.Constraint, column *ColumnDef) *Error {
	pos := Position(c.GetLocation())
	unsupported := func(what, hint string) *Error {
		return &Error{Code: codeNotSupported, Message: what + " is not supported", Hint: hint, Position: pos}
	}
	switch c.GetContype() {
	case pg.ConstrType_CONSTR_NULL:
	case pg.ConstrType_CONSTR_NOTNULL:
		column.NotNull = true
	case pg.ConstrType_CONSTR_DEFAULT:
		def, err := deparse(c.GetRawExpr())
		if err != nil {
			return err
		}
		column.Default = def
	case pg.ConstrType_CONSTR_PRIMARY:
		if len(out.PrimaryKey) > 0 {
			return &Error{Code: "42P16", Message: "multiple primary keys for table " + strconv.Quote(out.Name.Name) + " are not allowed", Position: pos}
		}
		if column != nil {
			out.PrimaryKey = []string{column.Name}
			return nil
		}
		for _, k := range c.GetKeys() {
			out.PrimaryKey = append(out.PrimaryKey, k.GetString_().GetSval())
		}
	case pg.ConstrType_CONSTR_UNIQUE:
		return unsupported("a UNIQUE constraint", "The primary key is the only unique key so far.")
	case pg.ConstrType_CONSTR_CHECK:
		return unsupported("a CHECK constraint", "")
	case pg.ConstrType_CONSTR_FOREIGN:
		return unsupported("a FOREIGN KEY constraint", "")
	case pg.ConstrType_CONSTR_IDENTITY:
		return unsupported("an identity column", "Use a uuid with DEFAULT gen_random_uuid().")
	case pg.ConstrType_CONSTR_GENERATED:
		return unsupported("a generated column", "")
	default:
		return unsupported("this constraint", "")
	}
	return nil
}

// convertType reads a type name; serial types are refused with what to use instead.
func convertType(t *pg.TypeName) (TypeName, *Error) {
	out := TypeName{Array: len(t.GetArrayBounds()) > 0, Position: Position(t.GetLocation())}
	names := t.GetNames()
	if len(names) == 0 || t.GetSetof() || t.GetPctType() {
		return out, &Error{Code: codeSyntax, Message: "this type is not supported", Position: out.Position}
	}
	out.Name = names[len(names)-1].GetString_().GetSval()
	switch out.Name {
	case "serial", "bigserial", "smallserial", "serial4", "serial8", "serial2":
		return out, &Error{Code: codeNotSupported, Message: "type " + out.Name + " is not supported",
			Hint: "Use a uuid with DEFAULT gen_random_uuid().", Position: out.Position}
	}
	for _, m := range t.GetTypmods() {
		c := m.GetAConst()
		if c == nil || c.GetIval() == nil {
			return out, &Error{Code: codeSyntax, Message: "type modifiers must be simple constants", Position: out.Position}
		}
		out.Modifiers = append(out.Modifiers, c.GetIval().GetIval())
	}
	return out, nil
}

// ConvertType reads PostgreSQL's type name, such as that of a cast.
func ConvertType(t *pg.TypeName) (TypeName, error) {
	out, err := convertType(t)
	if err != nil {
		return out, err
	}
	return out, nil
}

// deparse returns the SQL text of an expression.
func deparse(e *pg.Node) (string, *Error) {
	const version = 170007
	const lead = "SELECT "
	tree := &pg.ParseResult{Version: version, Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{
		SelectStmt: &pg.SelectStmt{TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: e}}}},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}}}}}
	if err := checkDepth(tree); err != nil {
		return "", err
	}
	text, err := pg.Deparse(tree)
	if err != nil || len(text) <= len(lead) {
		return "", Unsupported("this DEFAULT", "")
	}
	return text[len(lead):], nil
}

func convertDrop(d *pg.DropStmt, word string) (Node, *Error) {
	if d.GetRemoveType() != pg.ObjectType_OBJECT_TABLE {
		return nil, Unsupported("DROP of anything but collections", "")
	}
	out := &DropCollection{Word: word, IfExists: d.GetMissingOk()}
	for _, o := range d.GetObjects() {
		var parts []string
		for _, p := range o.GetList().GetItems() {
			parts = append(parts, p.GetString_().GetSval())
		}
		switch len(parts) {
		case 1:
			out.Names = append(out.Names, Name{Name: parts[0]})
		case 2:
			out.Names = append(out.Names, Name{Schema: parts[0], Name: parts[1]})
		default:
			return nil, Unsupported("a database name in front of a table", "")
		}
	}
	return out, nil
}

func convertAlterSystem(a *pg.AlterSystemStmt) (Node, *Error) {
	node, err := convertSet(a.GetSetstmt())
	if err != nil {
		return nil, err
	}
	set, ok := node.(*SetSetting)
	if !ok || set.Name == "" || len(set.Values) > 1 {
		return nil, Unsupported("this form of ALTER SYSTEM", "Write ALTER SYSTEM SET name = value, or ALTER SYSTEM RESET name.")
	}
	out := &AlterSystem{Name: set.Name}
	if len(set.Values) == 1 {
		out.Value = set.Values[0]
	}
	return out, nil
}

func convertSet(v *pg.VariableSetStmt) (Node, *Error) {
	out := &SetSetting{Name: fold(v.GetName()), Local: v.GetIsLocal()}
	switch v.GetKind() {
	case pg.VariableSetKind_VAR_SET_VALUE:
		for _, a := range v.GetArgs() {
			value, ok := constantText(a)
			if !ok {
				return nil, Unsupported("this value of SET", "Write a constant.")
			}
			out.Values = append(out.Values, value)
		}
	case pg.VariableSetKind_VAR_SET_DEFAULT:
	case pg.VariableSetKind_VAR_RESET:
		out.Reset = true
	case pg.VariableSetKind_VAR_RESET_ALL:
		out.Name, out.Reset = "", true
	case pg.VariableSetKind_VAR_SET_MULTI:
		if v.GetName() != "TRANSACTION" && v.GetName() != "SESSION CHARACTERISTICS" {
			return nil, Unsupported("SET "+v.GetName(), "")
		}
		set := &SetTransaction{Session: v.GetName() != "TRANSACTION"}
		var err *Error
		set.Modes, err = transactionModes(v.GetArgs())
		return set, err
	default:
		return nil, Unsupported("SET ... FROM CURRENT", "")
	}
	return out, nil
}

// constantText returns the text of a constant, or of SET TIME ZONE's INTERVAL with
// its unit.
func constantText(n *pg.Node) (string, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		text, ok := constantText(cast.GetArg())
		return "INTERVAL '" + text + zoneUnit(cast.GetTypeName(), text) + "'", ok
	}
	c := n.GetAConst()
	switch {
	case c == nil:
		return "", false
	case c.GetSval() != nil:
		return c.GetSval().GetSval(), true
	case c.GetFval() != nil:
		return c.GetFval().GetFval(), true
	case c.GetBoolval() != nil:
		return strconv.FormatBool(c.GetBoolval().GetBoolval()), true
	case c.GetIval() != nil:
		return strconv.Itoa(int(c.GetIval().GetIval())), true
	default:
		return "", false
	}
}

// zoneUnit is the unit of a bare number in INTERVAL 'text' HOUR or HOUR TO MINUTE,
// which the grammar allows to SET TIME ZONE.
func zoneUnit(t *pg.TypeName, text string) string {
	const hour = 1 << 10 // as PostgreSQL numbers the fields of an interval
	switch mods := t.GetTypmods(); {
	case len(mods) == 0 || strings.ContainsAny(text, ": "):
		return ""
	case mods[0].GetAConst().GetIval().GetIval() == hour:
		return " hours"
	default:
		return " minutes"
	}
}

func transactionModes(options []*pg.Node) (TransactionModes, *Error) {
	var out TransactionModes
	for _, o := range options {
		d := o.GetDefElem()
		value, _ := constantText(d.GetArg())
		yes := value == "1" || value == "true"
		switch d.GetDefname() {
		case "transaction_isolation":
			out.Isolation = strings.ToLower(value)
		case "transaction_read_only":
			out.ReadOnly = &yes
		case "transaction_deferrable":
			out.Deferrable = &yes
		default:
			return out, Unsupported("transaction option "+d.GetDefname(), "")
		}
	}
	return out, nil
}

func convertTransaction(t *pg.TransactionStmt) (Node, *Error) {
	switch t.GetKind() {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		out := &Begin{Word: "BEGIN"}
		if t.GetKind() == pg.TransactionStmtKind_TRANS_STMT_START {
			out.Word = "START TRANSACTION"
		}
		var err *Error
		out.Modes, err = transactionModes(t.GetOptions())
		return out, err
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		return &Commit{Chain: t.GetChain()}, nil
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		return &Rollback{Chain: t.GetChain()}, nil
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		return &Savepoint{Name: t.GetSavepointName()}, nil
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		return &Release{Name: t.GetSavepointName()}, nil
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return &RollbackTo{Name: t.GetSavepointName()}, nil
	default:
		return nil, Unsupported("two-phase commit in SQL", "")
	}
}

func convertDiscard(d *pg.DiscardStmt) (Node, *Error) {
	switch d.GetTarget() {
	case pg.DiscardMode_DISCARD_ALL:
		return &Discard{Tag: "DISCARD ALL", All: true}, nil
	case pg.DiscardMode_DISCARD_PLANS:
		return &Discard{Tag: "DISCARD PLANS"}, nil
	case pg.DiscardMode_DISCARD_SEQUENCES:
		return &Discard{Tag: "DISCARD SEQUENCES"}, nil
	default:
		return &Discard{Tag: "DISCARD TEMP"}, nil
	}
}
