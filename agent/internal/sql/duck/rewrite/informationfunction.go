package rewrite

import (
	"strconv"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// informationTexts are the functions of information_schema, which tools take from the views
// there, and one of vectors, as PostgreSQL defines them: $1 is an argument, $1.a a column of a row.
//
//nolint:gochecknoglobals // a constant table
var informationTexts = map[string]string{
	"_pg_truetypid":               "CASE WHEN $2.typtype = 'd' THEN $2.typbasetype ELSE $1.atttypid END",
	"_pg_truetypmod":              "CASE WHEN $2.typtype = 'd' THEN $2.typtypmod ELSE $1.atttypmod END",
	"_pg_char_max_length":         "CASE WHEN $2 = -1 THEN null WHEN $1 IN (1042, 1043) THEN $2 - 4 WHEN $1 IN (1560, 1562) THEN $2 END",
	"_pg_char_octet_length":       "CASE WHEN $1 IN (25, 1042, 1043) THEN CASE WHEN $2 = -1 THEN 1073741824 ELSE ($2 - 4) * 4 END END",
	"_pg_numeric_precision":       "CASE $1 WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 1700 THEN CASE WHEN $2 = -1 THEN null ELSE (($2 - 4) >> 16) & 65535 END WHEN 700 THEN 24 WHEN 701 THEN 53 END",
	"_pg_numeric_precision_radix": "CASE WHEN $1 IN (21, 23, 20, 700, 701) THEN 2 WHEN $1 IN (1700) THEN 10 END",
	"_pg_numeric_scale":           "CASE WHEN $1 IN (21, 23, 20) THEN 0 WHEN $1 IN (1700) THEN CASE WHEN $2 = -1 THEN null ELSE ($2 - 4) & 65535 END END",
	"_pg_datetime_precision":      "CASE WHEN $1 IN (1082) THEN 0 WHEN $1 IN (1083, 1114, 1184, 1266) THEN CASE WHEN $2 < 0 THEN 6 ELSE $2 END WHEN $1 IN (1186) THEN CASE WHEN $2 < 0 OR $2 & 65535 = 65535 THEN 6 ELSE $2 & 65535 END END",
	"oidvectortypes":              "coalesce((SELECT string_agg(format_type(u.t, null), ', ' ORDER BY u.n) FROM unnest($1) WITH ORDINALITY u(t, n)), left(($1)::text, 0))",
	"_pg_index_position":          "(SELECT array_position(i.indkey::int2[], $2::int2) FROM pg_catalog.pg_index i WHERE i.indexrelid = $1)",
}

// informationTrees are their expressions.
var informationTrees = sync.OnceValue(func() map[string]*pg.Node { //nolint:gochecknoglobals // a constant, parsed on first use
	out := map[string]*pg.Node{}
	for name, text := range informationTexts {
		if n, err := syntax.ParseExpression(text); err == nil {
			out[name] = n
		}
	}
	return out
})

// takeInformation puts them in the places of their calls.
func takeInformation(n *pg.Node) {
	f := n.GetFuncCall()
	name := lastName(f.GetFuncname())
	if informationTexts[name] == "" || len(f.Args) != 2 && name != "oidvectortypes" || len(f.Args) == 0 {
		return
	}
	out := clone(informationTrees()[name])
	holder := &pg.ResTarget{Val: out}
	replaceArguments(holder.ProtoReflect(), f.Args)
	n.Node = holder.Val.Node
}

// replaceArguments puts arguments in the places of $1, and columns of rows in those of $1.a.
func replaceArguments(m protoreflect.Message, args []*pg.Node) {
	visit(m, func(n *pg.Node) {
		of, column := n, ""
		if i := n.GetAIndirection(); i.GetArg().GetParamRef() != nil && len(i.Indirection) == 1 {
			of, column = i.Arg, i.Indirection[0].GetString_().GetSval()
		}
		p := of.GetParamRef()
		if p == nil || int(p.Number) > len(args) {
			return
		}
		arg := args[p.Number-1]
		if column == "" {
			n.Node = clone(arg).Node
			return
		}
		fields := arg.GetColumnRef().GetFields()
		if k := len(fields); k > 0 && fields[k-1].GetAStar() != nil {
			fields = fields[:k-1]
		}
		n.Node = pg.MakeColumnRefNode(append(append([]*pg.Node(nil), fields...), str(column)), -1).Node
	})
}

// takeMask is (pg_relation_is_updatable(x, y)::bit(8) & B'1000') = B'1000', which the engine has
// not, with integers.
func takeMask(n *pg.Node) {
	equal := n.GetAExpr()
	and := equal.GetLexpr().GetAExpr()
	if equal.GetKind() != pg.A_Expr_Kind_AEXPR_OP || lastName(equal.Name) != "=" || lastName(and.GetName()) != "&" {
		return
	}
	bits := and.GetLexpr().GetTypeCast()
	if lastName(bits.GetTypeName().GetNames()) != "bit" || lastName(bits.GetArg().GetFuncCall().GetFuncname()) != "pg_relation_is_updatable" {
		return
	}
	mask, ok := bitsOf(and.Rexpr)
	is, also := bitsOf(equal.Rexpr)
	if ok && also {
		and.Lexpr, and.Rexpr, equal.Rexpr = bits.Arg, mask, is
		and.Location, equal.Location = -1, -1 // they are of other types now
	}
}

// bitsOf is B'101' as an integer.
func bitsOf(n *pg.Node) (*pg.Node, bool) {
	text := n.GetAConst().GetBsval().GetBsval()
	if len(text) < 2 || text[0] != 'b' {
		return nil, false
	}
	v, err := strconv.ParseInt(text[1:], 2, 32)
	return integer(v), err == nil
}
