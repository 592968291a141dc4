package sql

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// basis is what a plan was made on, but for the objects that it found: it holds while
// that stays the same.
type basis struct {
	schema   uint64 // with draft: all objects
	draft    *catalog.Draft
	timeZone string
	order    datum.DateOrder
	path     string // search_path
	fast     bool   // nodedb.fast_path
	user     string // the current role
	roles    uint64 // the version of all roles
	temp     uint64 // the schema of temporary objects
	// changes counts those of the settings, if planning asked for any: 0 if not.
	changes uint64
}

// found is what a name in FROM meant to a plan.
type found struct {
	schema, name string
	table        *catalog.Table // nil: no collection
	view         *catalog.View  // nil: no view
	// sequence is the one that the name is, in FROM or in a call; 0: none.
	sequence cluster.ObjectID
	// typ is the domain or the enum that it is, if it isType; nil: none.
	typ    *cluster.Object
	isType bool
	// functions are those that it may call, if it isFunction.
	functions  []*cluster.Object
	isFunction bool
	// body is that of a function which it may call; nil: it is none.
	body *catalog.Body
}

// basis is what p would be planned on now.
func (s *Session) basis(p *Prepared) basis {
	zone, _ := s.settings.Get("timezone")
	path, _ := s.settings.Get("search_path")
	out := basis{schema: s.server.catalog.View().SchemaVersion, draft: s.draft, timeZone: zone, order: s.style.Order, path: path, fast: s.settings.FastPath(), user: s.user, roles: s.server.catalog.View().RolesVersion(), temp: s.temp.Load()}
	if p.asked {
		out.changes = s.settings.Changes()
	}
	return out
}

// holds reports whether the plan of p can be used: changes of objects that it does not
// touch are of no matter.
func (s *Session) holds(p *Prepared) bool {
	now, was := s.basis(p), p.basis
	if now == was {
		return true
	}
	if was.schema, was.draft = now.schema, now.draft; now != was {
		return false
	}
	scope := s.scope()
	if !slices.Equal(scope.SearchPath(), p.searchPath) {
		return false
	}
	for _, f := range p.found {
		if f.isType {
			if o, _ := scope.UserType(syntax.Name{Schema: f.schema, Name: f.name}); o != f.typ {
				return false
			}
			continue
		}
		if f.body != nil {
			if b, err := scope.Body(f.body.Desc); err != nil || !b.Same(f.body) {
				return false
			}
			continue
		}
		if f.isFunction {
			if !slices.Equal(scope.Functions(syntax.Name{Schema: f.schema, Name: f.name}), f.functions) {
				return false
			}
			continue
		}
		if f.sequence != 0 {
			if o, err := scope.Sequence(syntax.Name{Schema: f.schema, Name: f.name}); err != nil || o.ID != f.sequence {
				return false
			}
			continue
		}
		if f.view != nil {
			if v, ok := scope.FindView(f.schema, f.name); !ok || !v.Same(f.view) {
				return false
			}
			continue
		}
		t, ok := scope.Table(f.schema, f.name)
		if ok != (f.table != nil) || ok && !t.Same(f.table) {
			return false
		}
	}
	p.basis = now
	return true
}
