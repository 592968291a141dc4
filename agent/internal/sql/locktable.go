package sql

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/permit"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// lockTable is LOCK TABLE ... IN ACCESS SHARE MODE, by which pg_dump keeps tables from being
// changed: here whoever reads a table that was changed meanwhile is told. Nothing locks a
// whole table, so other modes are refused.
func (s *Session) lockTable(node *syntax.LockTable) (string, error) {
	if !s.block {
		return "", &syntax.Error{Code: "25P01", Message: "LOCK TABLE can only be used in transaction blocks"}
	}
	scope := s.scope()
	for _, name := range node.Tables {
		_, table := scope.Table(name.Schema, name.Name)
		_, view := scope.FindView(name.Schema, name.Name)
		if !table && !view {
			full := name.Name
			if name.Schema != "" {
				full = name.Schema + "." + name.Name
			}
			return "", &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation \"%s\" does not exist", full), Position: name.Position}
		}
	}
	if !s.rights().Super {
		if err := permit.Query(scope, node.Query); err != nil {
			return "", s.denied("LOCK TABLE", err)
		}
	}
	if node.Mode != "ACCESS SHARE" {
		return "", syntax.Unsupported("LOCK TABLE ... IN "+node.Mode+" MODE", "Lock rows (SELECT ... FOR UPDATE), or what the statements agree on (pg_advisory_xact_lock).")
	}
	return "LOCK TABLE", nil
}
