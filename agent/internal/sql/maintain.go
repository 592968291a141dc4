package sql

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maintain runs VACUUM, ANALYZE and CHECKPOINT: what rows leave behind is collected by itself,
// no plan rests on statistics, and what is committed is on disk.
func (s *Session) maintain(node *syntax.Maintain) (string, error) {
	if node.Tag == "CHECKPOINT" {
		return node.Tag, s.need(roleAdmin, node.Tag)
	}
	if node.Tag == "VACUUM" && s.tx != nil {
		return "", &Error{Code: "25001", Message: "VACUUM cannot run inside a transaction block"}
	}
	scope := s.scope()
	for _, name := range node.Tables {
		if _, ok := scope.Table(name.Schema, name.Name); ok {
			continue
		}
		if _, ok := s.server.systemTable(name.Schema, name.Name); ok {
			continue
		}
		if _, ok := scope.Relation(name); ok {
			s.notice("WARNING", "42809", "skipping %q --- cannot vacuum non-tables or special system tables", name.Name)
			continue
		}
		return "", &Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", name.Name)}
	}
	return node.Tag, nil
}

// ignored tells of storage parameters that have no meaning here.
func (s *Session) ignored(parameters []string) {
	for _, name := range parameters {
		s.notice("NOTICE", "00000", "storage parameter %q has no effect", name)
	}
}
