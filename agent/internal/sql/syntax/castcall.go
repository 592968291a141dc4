package syntax

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// castNames are the types whose names can be called as functions, which convert.
//
//nolint:gochecknoglobals // a constant table
var castNames = named("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "name", "char", "bytea", "uuid",
	"date", "time", "timetz", "timestamp", "timestamptz", "interval", "json", "jsonb", "oid", "inet", "cidr",
	"regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regcollation")

// CastCall is the conversion that a call means whose function is the name of a type, date(t);
// nil: it is another call. PostgreSQL has such functions, or takes the call for a cast.
func CastCall(f *pg.FuncCall) *pg.Node {
	names := f.GetFuncname()
	if len(f.GetArgs()) != 1 || len(names) == 0 || len(names) > 2 || len(names) == 2 && names[0].GetString_().GetSval() != "pg_catalog" {
		return nil
	}
	name := names[len(names)-1].GetString_().GetSval()
	if !castNames[name] || f.AggFilter != nil || f.Over != nil || f.AggDistinct || f.AggWithinGroup || f.FuncVariadic || len(f.AggOrder) > 0 || f.Args[0].GetNamedArgExpr() != nil {
		return nil
	}
	typ := &pg.TypeName{Names: []*pg.Node{pg.MakeStrNode("pg_catalog"), pg.MakeStrNode(name)}, Typemod: -1, Location: f.Location}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: f.Args[0], TypeName: typ, Location: f.Location}}}
}
