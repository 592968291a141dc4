package syntax

import (
	"cmp"
	"reflect"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// convert turns PostgreSQL's tree into what NodeDB works with. word is what the
// statement called a table.
func convert(stmt *pg.Node, word, text string) (Node, *Error) {
	for _, part := range []func(*pg.Node, string, string) (Node, *Error){convertQuery, convertSession, convertCursor, convertPrepared, convertExtension, convertRole, convertTables, convertObjects, convertOthers} {
		if node, err := part(stmt, word, text); node != nil || err != nil {
			return only(node, err)
		}
	}
	return nil, unsupportedStatement(stmt)
}

// only returns a node or an error.
func only(node Node, err *Error) (Node, *Error) {
	if err != nil {
		return nil, err
	}
	return node, nil
}

// convertQuery reads what is planned.
func convertQuery(stmt *pg.Node, _, text string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_SelectStmt:
		if hasInto(n.SelectStmt) {
			return convertSelectInto(n.SelectStmt)
		}
		return &Query{Select: n.SelectStmt}, nil
	case *pg.Node_InsertStmt:
		return &Query{Insert: n.InsertStmt}, nil
	case *pg.Node_UpdateStmt:
		return &Query{Update: n.UpdateStmt}, nil
	case *pg.Node_DeleteStmt:
		return &Query{Delete: n.DeleteStmt}, nil
	case *pg.Node_MergeStmt:
		return convertMerge(n.MergeStmt)
	case *pg.Node_CallStmt:
		call := &pg.Node{Node: &pg.Node_FuncCall{FuncCall: n.CallStmt.GetFunccall()}}
		target := &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: call, Location: -1}}}
		return &Query{Call: true, Select: &pg.SelectStmt{TargetList: []*pg.Node{target}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}, nil
	case *pg.Node_ExplainStmt:
		return convertExplain(n.ExplainStmt, text)
	case *pg.Node_CopyStmt:
		return convertCopy(n.CopyStmt, text)
	default:
		return nil, nil
	}
}

// convertSession reads what is about the session and its transaction.
func convertSession(stmt *pg.Node, _, _ string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_VariableShowStmt:
		return &ShowSetting{Name: fold(n.VariableShowStmt.GetName())}, nil
	case *pg.Node_VariableSetStmt:
		return convertSet(n.VariableSetStmt)
	case *pg.Node_AlterSystemStmt:
		return convertAlterSystem(n.AlterSystemStmt)
	case *pg.Node_TransactionStmt:
		return convertTransaction(n.TransactionStmt)
	case *pg.Node_ConstraintsSetStmt:
		return convertSetConstraints(n.ConstraintsSetStmt)
	case *pg.Node_LockStmt:
		return convertLock(n.LockStmt)
	case *pg.Node_DiscardStmt:
		return convertDiscard(n.DiscardStmt)
	case *pg.Node_ListenStmt:
		return &Listen{Channel: n.ListenStmt.GetConditionname()}, nil
	case *pg.Node_UnlistenStmt:
		return &Listen{Channel: n.UnlistenStmt.GetConditionname(), Stop: true}, nil
	case *pg.Node_NotifyStmt:
		return &Notify{Channel: n.NotifyStmt.GetConditionname(), Payload: n.NotifyStmt.GetPayload()}, nil
	default:
		return nil, nil
	}
}

// convertTables reads what makes and changes tables and what else has rows.
func convertTables(stmt *pg.Node, word, _ string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_CreateStmt:
		return convertCreate(n.CreateStmt, word)
	case *pg.Node_CreateTableAsStmt:
		return convertCreateTableAs(n.CreateTableAsStmt, word)
	case *pg.Node_AlterTableStmt:
		return convertAlterTable(n.AlterTableStmt, word)
	case *pg.Node_VacuumStmt:
		return convertMaintain(n.VacuumStmt)
	case *pg.Node_CheckPointStmt:
		return &Maintain{Tag: "CHECKPOINT"}, nil
	case *pg.Node_TruncateStmt:
		return convertTruncate(n.TruncateStmt, word)
	case *pg.Node_IndexStmt:
		return convertIndex(n.IndexStmt)
	case *pg.Node_ReindexStmt:
		return convertReindex(n.ReindexStmt)
	case *pg.Node_ViewStmt:
		return convertView(n.ViewStmt)
	case *pg.Node_RefreshMatViewStmt:
		return convertRefresh(n.RefreshMatViewStmt)
	case *pg.Node_CreateSeqStmt:
		return convertCreateSequence(n.CreateSeqStmt)
	case *pg.Node_AlterSeqStmt:
		return convertAlterSequence(n.AlterSeqStmt)
	case *pg.Node_DoStmt:
		return convertDo(n.DoStmt)
	case *pg.Node_CreateTrigStmt:
		return convertTrigger(n.CreateTrigStmt)
	case *pg.Node_CreatePolicyStmt:
		return convertPolicy(n.CreatePolicyStmt)
	case *pg.Node_AlterPolicyStmt:
		return convertAlterPolicy(n.AlterPolicyStmt)
	default:
		return nil, nil
	}
}

// convertObjects reads what is the same for all kinds of objects.
func convertObjects(stmt *pg.Node, word, text string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_DropStmt:
		return convertDrop(n.DropStmt, word)
	case *pg.Node_RenameStmt:
		return convertRename(n.RenameStmt, word)
	case *pg.Node_AlterOwnerStmt:
		return convertOwner(n.AlterOwnerStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		return convertSetSchema(n.AlterObjectSchemaStmt, word)
	case *pg.Node_CommentStmt:
		return convertComment(n.CommentStmt)
	case *pg.Node_GrantStmt:
		grant, err := convertObjectGrant(n.GrantStmt, text)
		return grant, err
	case *pg.Node_AlterDefaultPrivilegesStmt:
		return convertDefaultPrivileges(n.AlterDefaultPrivilegesStmt, text)
	default:
		return nil, nil
	}
}

// convertOthers reads databases, schemas, types and functions.
func convertOthers(stmt *pg.Node, _, text string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_CreatedbStmt:
		return convertCreateDatabase(n.CreatedbStmt)
	case *pg.Node_AlterDatabaseStmt:
		return convertAlterDatabase(n.AlterDatabaseStmt)
	case *pg.Node_AlterDatabaseSetStmt:
		return convertSetDatabase(n.AlterDatabaseSetStmt)
	case *pg.Node_AlterRoleSetStmt:
		return convertSetRole(n.AlterRoleSetStmt)
	case *pg.Node_DropdbStmt:
		return convertDropDatabase(n.DropdbStmt)
	case *pg.Node_CreateSchemaStmt:
		return convertCreateSchema(n.CreateSchemaStmt, text)
	case *pg.Node_CreateEnumStmt:
		return convertEnum(n.CreateEnumStmt)
	case *pg.Node_AlterEnumStmt:
		return convertAlterEnum(n.AlterEnumStmt)
	case *pg.Node_CompositeTypeStmt:
		return convertComposite(n.CompositeTypeStmt)
	case *pg.Node_CreateDomainStmt:
		return convertDomain(n.CreateDomainStmt)
	case *pg.Node_AlterDomainStmt:
		return convertAlterDomain(n.AlterDomainStmt)
	case *pg.Node_CreateFunctionStmt:
		return convertFunction(n.CreateFunctionStmt)
	case *pg.Node_AlterFunctionStmt:
		return convertAlterFunction(n.AlterFunctionStmt)
	default:
		return nil, nil
	}
}

// unsupportedStatement is for what has no type here: it says what to do instead, where
// there is something.
func unsupportedStatement(stmt *pg.Node) *Error {
	return Unsupported(cmp.Or(statementName(stmt), "this statement"), "")
}

// statementName is how a statement begins, of those that are refused as a whole.
func statementName(stmt *pg.Node) string {
	name := reflect.TypeOf(stmt.GetNode()).Elem().Name()
	return refused[strings.TrimSuffix(strings.TrimPrefix(name, "Node_"), "Stmt")]
}

// refused are the names of statements, by those that they have in PostgreSQL's tree.
var refused = map[string]string{ //nolint:gochecknoglobals // never changed
	"AlterCollation": "ALTER COLLATION", "AlterEventTrig": "ALTER EVENT TRIGGER", "AlterExtension": "ALTER EXTENSION", "AlterExtensionContents": "ALTER EXTENSION",
	"AlterFdw": "ALTER FOREIGN DATA WRAPPER", "AlterForeignServer": "ALTER SERVER", "AlterOpFamily": "ALTER OPERATOR FAMILY", "AlterOperator": "ALTER OPERATOR",
	"AlterPublication": "ALTER PUBLICATION", "AlterStats": "ALTER STATISTICS", "AlterSubscription": "ALTER SUBSCRIPTION", "AlterTableSpaceOptions": "ALTER TABLESPACE",
	"AlterTSConfiguration": "ALTER TEXT SEARCH CONFIGURATION", "AlterTSDictionary": "ALTER TEXT SEARCH DICTIONARY", "AlterType": "ALTER TYPE", "AlterUserMapping": "ALTER USER MAPPING",
	"Cluster": "CLUSTER", "CreateAm": "CREATE ACCESS METHOD", "CreateCast": "CREATE CAST", "CreateConversion": "CREATE CONVERSION",
	"CreateEventTrig": "CREATE EVENT TRIGGER", "CreateFdw": "CREATE FOREIGN DATA WRAPPER", "CreateForeignServer": "CREATE SERVER", "CreateForeignTable": "CREATE FOREIGN TABLE",
	"CreateOpClass": "CREATE OPERATOR CLASS", "CreateOpFamily": "CREATE OPERATOR FAMILY", "CreatePLang": "CREATE LANGUAGE", "CreatePublication": "CREATE PUBLICATION",
	"CreateRange": "CREATE TYPE ... AS RANGE", "CreateStats": "CREATE STATISTICS", "CreateSubscription": "CREATE SUBSCRIPTION", "CreateTableSpace": "CREATE TABLESPACE",
	"CreateTransform": "CREATE TRANSFORM", "CreateUserMapping": "CREATE USER MAPPING", "Define": "CREATE of this kind of object", "DropSubscription": "DROP SUBSCRIPTION",
	"DropTableSpace": "DROP TABLESPACE", "DropUserMapping": "DROP USER MAPPING", "ImportForeignSchema": "IMPORT FOREIGN SCHEMA", "Load": "LOAD",
	"Rule": "CREATE RULE", "SecLabel": "SECURITY LABEL",
}

// deparse returns the SQL text of an expression.
func deparse(e *pg.Node) (string, *Error) {
	const lead = "SELECT "
	text, err := deparseStatement(&pg.Node{Node: &pg.Node_SelectStmt{
		SelectStmt: &pg.SelectStmt{TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: e}}}},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}})
	if err != nil {
		return "", err
	}
	if len(text) <= len(lead) {
		return "", Unsupported("this expression", "")
	}
	return text[len(lead):], nil
}

// deparseStatement returns the SQL text of a statement.
func deparseStatement(stmt *pg.Node) (string, *Error) {
	const version = 170007
	tree := &pg.ParseResult{Version: version, Stmts: []*pg.RawStmt{{Stmt: stmt}}}
	if err := checkDepth(tree); err != nil {
		return "", err
	}
	text, err := Deparse(tree)
	if err != nil {
		return "", Unsupported("this expression", "")
	}
	return text, nil
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
