package sql

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// ownSchema stands for the schema that is called like the user.
const ownSchema = "$user"

// scope is what names mean in the session's next statement.
func (s *Session) scope() catalog.Scope {
	path := s.settings.SearchPath()
	out := s.server.catalog.Scope(s.draft, s.database, path)
	out.Rights, out.Temp, out.Bind = s.rights(), cluster.ObjectID(s.temp.Load()), bindCalls
	for i, name := range path {
		if name == ownSchema {
			path[i] = s.user
		}
	}
	if !out.Rights.Super { // what may not be used is not looked in
		out.Path = slices.DeleteFunc(path, func(name string) bool {
			schema, ok := out.Schema(name)
			return ok && !out.Rights.May(schema, cluster.Usage)
		})
	}
	return out
}

// currentSchema is the schema in which objects are made; "": there is none.
func (s *Session) currentSchema() string {
	if path := s.scope().SearchPath(); len(path) > 0 {
		return path[0]
	}
	return ""
}
