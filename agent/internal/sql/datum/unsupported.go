package datum

import "strings"

// UnsupportedType says what to use instead of a type that PostgreSQL 15 has and NodeDB
// has not.
func UnsupportedType(name string) (hint string, known bool) {
	switch name {
	case "money":
		return "Use numeric(19, 2).", true
	case "xml":
		return "Use text.", true
	case "macaddr", "macaddr8":
		return "Use text, or bytea for its bytes.", true
	case "tsvector", "tsquery":
		return "Use text: there is no full text search.", true
	case "point", "line", "lseg", "box", "path", "polygon", "circle":
		return "Use float8 columns or jsonb.", true
	case "jsonpath":
		return "Use text.", true
	case "refcursor", "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc", "regprocedure",
		"regrole", "regtype", "aclitem", "cid", "tid", "xid", "xid8", "int2vector", "oidvector", "pg_lsn", "pg_snapshot", "txid_snapshot":
		return "It belongs to the catalogs of PostgreSQL.", true
	}
	for _, kind := range []string{"int4", "int8", "num", "date", "ts", "tstz"} {
		if rest, ok := strings.CutPrefix(name, kind); ok && (rest == "range" || rest == "multirange") {
			return "Use two columns, for where it begins and ends.", true
		}
	}
	return "", false
}
