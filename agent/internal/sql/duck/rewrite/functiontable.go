package rewrite

import (
	"net/netip"

	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// functions lists what may be called and what it is called in DuckDB: "" the same,
// nd_* a macro or function of the worker. What is in neither this list nor specials
// does not exist.
var functions = table(same(`
	max min bool_and bool_or string_agg array_agg stddev stddev_pop stddev_samp var_pop var_samp corr covar_pop covar_samp
	regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy bit_and bit_or bit_xor
	mode percentile_cont percentile_disc any_value
	row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
	abs ceil floor random gen_random_uuid uuidv7 uuidv4
	lower upper trim ltrim rtrim left right replace reverse translate strpos starts_with md5 ascii
	age timezone`), map[string]string{
	"every": "bool_and", "variance": "var_samp",
	"ceiling": "ceil", "mod": "nd_mod", "uuid_generate_v4": "gen_random_uuid",
	"position": "strpos", "btrim": "trim",
	"array_append": "list_append", "array_prepend": "list_prepend", "array_cat": "nd_list_concat", "array_remove": "nd_array_remove",
	"clock_timestamp": "get_current_timestamp",
	"json_typeof":     "nd_json_typeof",
})

// doubling are macros that name an argument more than once.
var doubling = table(same("nd_format_type"), nil)

// resultCasts give results the type that they have in PostgreSQL.
var resultCasts = table(each("INTEGER", `position strpos ascii
	ntile`), map[string]string{"regr_count": "BIGINT"}) // which the engine counts without a sign

// resultTypes is what typeOf knows of results.
var resultTypes = types(map[datum.Type]string{
	datum.Int8: `count regr_count row_number rank dense_rank pg_relation_size pg_total_relation_size pg_table_size pg_indexes_size pg_database_size
		pg_tablespace_size`,
	datum.Int4: `length char_length character_length octet_length position strpos ascii ntile regexp_count array_length array_upper array_lower
		generate_subscripts grouping pg_backend_pid pg_relation_is_updatable`,
	datum.Int4 | datum.Array: "pg_blocking_pids pg_safe_snapshot_blocking_pids",
	datum.Bool: `pg_jit_available bool_and bool_or every starts_with regexp_like isfinite pg_table_is_visible pg_type_is_visible pg_function_is_visible pg_is_in_recovery
		pg_column_is_updatable has_table_privilege has_column_privilege has_any_column_privilege has_schema_privilege has_database_privilege
		has_sequence_privilege has_function_privilege has_type_privilege has_language_privilege has_tablespace_privilege
		has_server_privilege has_foreign_data_wrapper_privilege pg_has_role`,
	datum.Text: `string_agg lower upper trim btrim ltrim rtrim left right repeat replace reverse translate split_part md5 chr
		concat concat_ws regexp_replace array_to_string initcap quote_ident quote_literal quote_nullable substr substring format
		lpad rpad version encode regexp_split_to_table string_to_table pg_get_serial_sequence pg_get_expr jsonb_array_elements_text json_array_elements_text jsonb_object_keys
		current_setting format_type obj_description col_description shobj_description pg_get_constraintdef pg_get_indexdef pg_get_viewdef
		pg_get_functiondef pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_triggerdef`,
	datum.Timestamptz:           "pg_postmaster_start_time pg_conf_load_time pg_last_xact_replay_timestamp now transaction_timestamp statement_timestamp clock_timestamp",
	datum.Date:                  "make_date",
	datum.Float8:                "pg_notification_queue_usage sqrt cbrt exp ln random degrees radians sin cos tan date_part percent_rank cume_dist",
	datum.UUID:                  "gen_random_uuid uuid_generate_v4 uuidv4 uuidv7",
	datum.JSONB:                 "jsonb_build_object jsonb_build_array to_jsonb jsonb_agg jsonb_object_agg jsonb_array_elements jsonb_path_query",
	datum.JSON:                  "json_build_object json_build_array to_json row_to_json array_to_json json_agg json_object_agg json_array_elements",
	datum.Numeric:               "div extract",
	datum.Name:                  "pg_encoding_to_char current_database current_catalog current_schema current_user session_user pg_get_userbyid",
	datum.Name | datum.Array:    "current_schemas",
	datum.Text | datum.Array:    "regexp_matches",
	datum.Inet:                  "inet_client_addr",
	datum.Regtype:               "pg_typeof to_regtype",
	datum.ACLItem | datum.Array: "acldefault",
	datum.Regclass:              "to_regclass",
	datum.Regproc:               "to_regproc",
	datum.Regprocedure:          "to_regprocedure",
	datum.Regnamespace:          "to_regnamespace",
	datum.Regrole:               "to_regrole",
	datum.Regcollation:          "to_regcollation",
})

// argTypes are the types of parameters that are arguments.
var argTypes = map[string][]datum.Type{
	"lower": {datum.Text}, "upper": {datum.Text}, "length": {datum.Text}, "char_length": {datum.Text}, "initcap": {datum.Text},
	"md5": {datum.Text}, "trim": {datum.Text}, "btrim": {datum.Text, datum.Text}, "ltrim": {datum.Text, datum.Text},
	"rtrim": {datum.Text, datum.Text}, "replace": {datum.Text, datum.Text, datum.Text}, "left": {datum.Text, datum.Int4},
	"right": {datum.Text, datum.Int4}, "repeat": {datum.Text, datum.Int4}, "split_part": {datum.Text, datum.Text, datum.Int4},
	"strpos": {datum.Text, datum.Text}, "position": {datum.Text, datum.Text}, "starts_with": {datum.Text, datum.Text},
	"concat": {datum.Text, datum.Text, datum.Text, datum.Text}, "substr": {datum.Text, datum.Int4, datum.Int4},
	"substring": {datum.Text, datum.Int4, datum.Int4}, "lpad": {datum.Text, datum.Int4, datum.Text},
	"rpad": {datum.Text, datum.Int4, datum.Text}, "regexp_replace": {datum.Text, datum.Text, datum.Text, datum.Text},
	"date_trunc": {datum.Text}, "power": {datum.Float8, datum.Float8}, "sqrt": {datum.Float8},
	"ntile": {datum.Int4}, "lag": {datum.Unknown, datum.Int4}, "lead": {datum.Unknown, datum.Int4},
	"string_agg": {datum.Text, datum.Text}, "make_date": {datum.Int4, datum.Int4, datum.Int4},
	"pg_sleep": {datum.Float8},
}

var specials = map[string]special{
	"to_json": jsonOf, "to_jsonb": jsonOf, "row_to_json": jsonOf, "array_to_json": jsonOf,
	"json_build_array": jsonArray, "jsonb_build_array": jsonArray, "json_build_object": jsonObject, "jsonb_build_object": jsonObject,
	"json_object_agg": jsonObjectAgg, "jsonb_object_agg": jsonObjectAgg,
	"string_agg": specialStringAgg, "sum": specialSum, "avg": specialAvg, "count": specialCount, "json_agg": jsonAgg, "jsonb_agg": jsonAgg,
	"now": specialNow, "transaction_timestamp": specialNow, "statement_timestamp": specialNow, "pg_postmaster_start_time": serverStart, "pg_conf_load_time": serverStart,
	"extract": specialExtract, "date_part": specialExtract,
	"substring": specialSubstring, "substr": specialSubstring,
	"concat": specialConcat, "concat_ws": specialConcat, "array_to_string": arrayToString,
	"length": specialLength, "char_length": specialLength, "character_length": specialLength, "octet_length": specialLength,
	"round": specialScale("round"), "trunc": specialScale("trunc"), "date_trunc": specialTrunc,
	"pg_typeof": specialPgTypeof, "current_schemas": specialCurrentSchemas, "current_setting": specialSetting,
	"current_database":    constantText(func(r *rewriter) string { return r.in.Session.Database }),
	"current_catalog":     constantText(func(r *rewriter) string { return r.in.Session.Database }),
	"current_schema":      specialCurrentSchema,
	"current_user":        constantText(func(r *rewriter) string { return r.in.Session.User }),
	"session_user":        constantText(func(r *rewriter) string { return r.in.Session.SessionUser }),
	"pg_get_userbyid":     roleName,
	"has_table_privilege": privilegeOf(onObject), "has_schema_privilege": privilegeOf(onObject), "has_database_privilege": privilegeOf(onObject),
	"has_sequence_privilege": privilegeOf(onObject), "has_any_column_privilege": privilegeOf(onObject), "has_column_privilege": privilegeOf(onColumn),
	"has_function_privilege": privilegeOf(onFunction), "has_type_privilege": privilegeOf(onType), "has_language_privilege": privilegeOf(onNamed),
	"has_tablespace_privilege": privilegeOf(onNamed), "has_server_privilege": privilegeOf(onNothing), "has_foreign_data_wrapper_privilege": privilegeOf(onNothing),
	"pg_has_role":         privilegeOf(onRole),
	"version":             constantText(func(r *rewriter) string { return r.in.Session.Version }),
	"pg_encoding_to_char": constantText(func(*rewriter) string { return "UTF8" }),
	"pg_client_encoding":  constantText(func(*rewriter) string { return "UTF8" }),
	"pg_backend_pid": func(r *rewriter, _ *pg.FuncCall) (finish, error) {
		return func(*pg.Node) (*pg.Node, error) { return integer(int64(int32(r.in.Session.PID))), nil }, nil
	},
	"like_escape": unchanged, "similar_to_escape": unchanged,
	"pg_sleep":             specialSleep,
	"pg_cancel_backend":    specialSignal,
	"pg_terminate_backend": specialSignal,
	"pg_get_expr":          textArgument,
	"pg_table_is_visible":  visible(datum.Regclass), "pg_type_is_visible": visible(datum.Regtype), "pg_function_is_visible": visible(datum.Regproc), "pg_operator_is_visible": yes,
	"to_regclass": toRegistry(datum.Regclass), "to_regtype": toRegistry(datum.Regtype), "to_regproc": toRegistry(datum.Regproc), "to_regprocedure": toRegistry(datum.Regprocedure),
	"to_regnamespace": toRegistry(datum.Regnamespace), "to_regrole": toRegistry(datum.Regrole), "to_regcollation": toRegistry(datum.Regcollation),
	"pg_opclass_is_visible": yes, "pg_collation_is_visible": yes, "pg_opfamily_is_visible": yes, "pg_ts_config_is_visible": yes, "pg_ts_dict_is_visible": yes,
	"pg_ts_parser_is_visible": yes, "pg_ts_template_is_visible": yes, "pg_statistics_obj_is_visible": yes, "pg_conversion_is_visible": yes,
	"pg_char_to_encoding": answers(func() *pg.Node { return integer(utf8Encoding) }), "getdatabaseencoding": answers(func() *pg.Node { return sqlText("UTF8") }),
	"pg_tablespace_size": databaseSize, "acldefault": defaultACL, "set_config": lateSetting,

	"pg_is_in_recovery":        answers(func() *pg.Node { return boolean(false) }),
	"pg_relation_is_updatable": updatable, "pg_column_is_updatable": updatable,
	"pg_relation_is_publishable": answers(func() *pg.Node { return boolean(false) }),
	"pg_is_other_temp_schema":    answers(func() *pg.Node { return boolean(false) }), "pg_my_temp_schema": func(r *rewriter, _ *pg.FuncCall) (finish, error) {
		return func(*pg.Node) (*pg.Node, error) { return integer(int64(r.in.Session.Temporary.OID)), nil }, nil
	},
	"obj_description": objectComment, "col_description": columnComment, "shobj_description": objectComment, "pg_get_constraintdef": definition, "format_type": formatType,
	"pg_get_indexdef": definition, "pg_get_viewdef": definition, "pg_get_triggerdef": definition, "pg_get_ruledef": definition, "pg_get_functiondef": functionText("definition"),
	"pg_get_function_result": functionText("result"), "pg_get_function_arguments": functionText("arguments"), "pg_get_function_identity_arguments": functionText("identity"),
	"pg_get_function_sqlbody": functionText("body"),
	"pg_get_serial_sequence":  serialSequence, "pg_get_partkeydef": noText, "pg_get_statisticsobjdef_columns": noText,
	"pg_tablespace_location": answers(func() *pg.Node { return sqlText("") }), "inet_client_addr": endOf(func(s *Session) netip.AddrPort { return s.Client }, false), "inet_client_port": endOf(func(s *Session) netip.AddrPort { return s.Client }, true),
	"inet_server_addr": endOf(func(s *Session) netip.AddrPort { return s.Local }, false), "inet_server_port": endOf(func(s *Session) netip.AddrPort { return s.Local }, true),
	"pg_relation_size": relationSize("main"), "pg_total_relation_size": relationSize("total"), "pg_table_size": relationSize("own"), "pg_indexes_size": relationSize("indexes"),
	"pg_blocking_pids": blockingPids, "pg_safe_snapshot_blocking_pids": answers(func() *pg.Node { return cast(call("list_value"), "INTEGER[]") }),
	"pg_last_wal_replay_lsn": noText, "pg_last_wal_receive_lsn": noText, "pg_last_xact_replay_timestamp": answers(func() *pg.Node { return cast(null(), "TIMESTAMPTZ") }),
	"pg_jit_available": answers(func() *pg.Node { return boolean(false) }), "pg_notification_queue_usage": answers(func() *pg.Node { return cast(integer(0), "DOUBLE") }),
	"pg_database_size": databaseSize, "txid_current": specialTransaction, "pg_stat_get_numscans": noNumber, "pg_get_partition_constraintdef": noText, "pg_get_statisticsobjdef": noText,
}

// specialSignal is for functions that end sessions, where they are no column of the
// result: the planner has taken those out.
func specialSignal(_ *rewriter, f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if n := len(f.Args); n == 0 || n > 2 || n == 2 && name == "pg_cancel_backend" {
		return nil, errorf("42883", f.Location, "function %s of %d arguments does not exist", name, n)
	}
	return nil, unsupported(f.Location, "%s anywhere but as a column of SELECT ... FROM, without DISTINCT or GROUP BY,", name)
}

// unchanged is for functions that the parser makes of operators, whose rule looks at
// them.
func unchanged(*rewriter, *pg.FuncCall) (finish, error) {
	return func(n *pg.Node) (*pg.Node, error) { return n, nil }, nil
}

// sleepTable is the table behind pg_sleep: its one row comes after as many seconds as
// the constraint on its column says.
func sleepTable() *Table {
	return &Table{Name: "pg_sleep", Ref: Sleep{}, Columns: []TableColumn{{Name: "seconds", Type: datum.Float8, Modifier: -1}}}
}

// Sleep is the Ref of a table that the executor serves itself.
type Sleep struct{}

func specialSleep(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != 1 {
		return nil, errorf("42883", f.Location, "function pg_sleep(%s) does not exist", r.signature(f))
	}
	seconds, ok := value(column{typ: datum.Float8}, f.Args[0])
	if !ok {
		return nil, unsupported(f.Location, "pg_sleep of what is not a constant")
	}
	r.paramIs(f.Args[0], datum.Float8)
	item, rel, err := r.scanOf(sleepTable(), "pg_sleep", nil)
	if err != nil {
		return nil, err
	}
	rel.scan.Constraints = []Constraint{{Op: OpEQ, Values: []Value{seconds}}}
	return func(n *pg.Node) (*pg.Node, error) {
		field := pg.MakeColumnRefNode([]*pg.Node{str("pg_sleep"), str("seconds")}, -1)
		target := call("left", cast(field, "VARCHAR"), integer(0))
		sub := &pg.SelectStmt{
			TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(target, -1)}, FromClause: []*pg.Node{item},
			LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
		}
		return &pg.Node{Node: &pg.Node_SubLink{SubLink: &pg.SubLink{
			SubLinkType: pg.SubLinkType_EXPR_SUBLINK, Subselect: selectNode(sub), Location: -1,
		}}}, nil
	}, nil
}

func yes(*rewriter, *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) { return boolean(true), nil }, nil
}

func noText(*rewriter, *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) { return cast(null(), "VARCHAR"), nil }, nil
}

// utf8Encoding is PostgreSQL's number of it.
const utf8Encoding = 6

// noNumber is for what nobody counts.
func noNumber(*rewriter, *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) { return cast(null(), "BIGINT"), nil }, nil
}

// lateSetting is set_config where it is not all that a statement does: it is refused if
// there is a row to do it for.
func lateSetting(_ *rewriter, f *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) {
		return call("error", cast(text("ND0A000 set_config in this query is not supported"), "VARCHAR")), nil
	}, nil
}

func firstArgument(_ *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) == 0 {
		return nil, errorf("42883", f.Location, "function %s() does not exist", lastName(f.Funcname))
	}
	return func(n *pg.Node) (*pg.Node, error) { return n.GetFuncCall().Args[0], nil }, nil
}

// textArgument is firstArgument of a function that gives a text.
func textArgument(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) > 0 && f.Args[0].GetAConst().GetIsnull() {
		return noText(r, f)
	}
	return firstArgument(r, f)
}

func specialLength(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != 1 {
		return nil, errorf("42883", f.Location, "function %s(%s) does not exist", lastName(f.Funcname), r.signature(f))
	}
	name, bytes := "length", r.typeOf(f.Args[0]) == datum.Bytea
	switch {
	case bytes:
		name = "octet_length"
	case lastName(f.Funcname) == "octet_length":
		name = "strlen"
	}
	if pad := r.padded(f.Args[0]); pad != nil && name == "strlen" {
		return func(n *pg.Node) (*pg.Node, error) {
			return cast(call(name, pad(n.GetFuncCall().Args[0])), "INTEGER"), nil
		}, nil
	}
	return func(n *pg.Node) (*pg.Node, error) { return cast(call(name, n.GetFuncCall().Args[0]), "INTEGER"), nil }, nil
}

// specialSetting is current_setting(name [, missing_ok]).
func specialSetting(r *rewriter, f *pg.FuncCall) (finish, error) {
	name, ok := "", false
	if len(f.Args) > 0 {
		name, ok = literal(f.Args[0])
	}
	if !ok || r.in.Session.Setting == nil {
		find, err := r.lookupBy("pg_settings", "name", "setting")
		if err != nil || find == nil || len(f.Args) != 1 {
			return nil, unsupported(f.Location, "current_setting of a name that is not a constant")
		}
		return func(n *pg.Node) (*pg.Node, error) { return find(n.GetFuncCall().Args[0]), nil }, nil
	}
	v, found := r.in.Session.Setting(name)
	if !found && len(f.Args) < 2 {
		return nil, errorf("42704", f.Location, "unrecognized configuration parameter \"%s\"", name)
	}
	return func(*pg.Node) (*pg.Node, error) {
		if !found {
			return cast(null(), "VARCHAR"), nil
		}
		return sqlText(v), nil
	}, nil
}

// How the tables above are written: same and each make entries of a list of names.

func same(names string) map[string]string { return each("", names) }

func each(value, names string) map[string]string {
	m := map[string]string{}
	for _, n := range strings.Fields(names) {
		m[n] = value
	}
	return m
}

func table(a, b map[string]string) map[string]string {
	for k, v := range b {
		a[k] = v
	}
	return a
}

func types(lists map[datum.Type]string) map[string]datum.Type {
	m := map[string]datum.Type{}
	for t, names := range lists {
		for _, n := range strings.Fields(names) {
			m[n] = t
		}
	}
	return m
}

func has(m map[string]string, k string) bool {
	_, ok := m[k]
	return ok
}
