package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// misnamed is the error for named arguments of a function that has none of these names.
func (r *rewriter) misnamed(f *pg.FuncCall, name string) error {
	seen, types := map[string]bool{}, make([]string, len(f.Args))
	for i, a := range f.Args {
		named := a.GetNamedArgExpr()
		switch {
		case named == nil && len(seen) > 0:
			return errorf("42601", f.Location, "positional argument cannot follow named argument")
		case named == nil:
			types[i] = r.typeOf(a).SQLName()
			continue
		case seen[named.Name]:
			return errorf("42601", named.Location, "argument name \"%s\" used more than once", named.Name)
		}
		seen[named.Name] = true
		types[i] = named.Name + " => " + r.typeOf(named.Arg).SQLName()
	}
	return noFunction(f, name+"("+strings.Join(types, ", ")+")")
}

// byPosition gives calls below m that name arguments of PostgreSQL's functions all of them in
// their order.
func byPosition(m protoreflect.Message) {
	visit(m, func(n *pg.Node) {
		if args, ok := syntax.Positional(n.GetFuncCall()); ok {
			n.GetFuncCall().Args = args
		}
	})
}
