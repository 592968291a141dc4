package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// unknownFunction finds a call, in expressions that could not be compiled, of a function
// that neither we nor PostgreSQL have: that is another error than one that we have not.
func (c *compiler) unknownFunction(list ...*pg.Node) error {
	for _, n := range list {
		err := syntax.Walk(n, func(n *pg.Node) (bool, error) {
			if f := n.GetFuncCall(); f != nil {
				return true, c.mayExist(f)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mayExist refuses the call of what is no function.
func (c *compiler) mayExist(f *pg.FuncCall) error {
	name, ok := functionName(f)
	if !ok || name.Schema != "" || builtIn(name.Name) || rewrite.Postgres(name.Name) || c.functions != nil && len(c.functions(name)) > 0 {
		return nil
	}
	args := given(f)
	for i := range args {
		if e, err := c.expr(args[i].node); err == nil {
			args[i].typ = e.Type()
		}
	}
	err := fail("42883", c.position(f.GetLocation()), "function %s does not exist", signature(name.Name, args))
	err.Hint = "No function matches the given name and argument types. You might need to add explicit type casts."
	return err
}
