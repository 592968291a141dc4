package sql

import (
	"errors"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/permit"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// rights are what the session's current role may do now.
func (s *Session) rights() *catalog.Rights {
	view := s.server.catalog.View()
	if s.held == nil || s.held.Version != view.RolesVersion() || s.held.Role != s.user {
		s.held = catalog.RightsOf(view, s.user)
	}
	return s.held
}

// permission is what a query was found to be permitted on.
type permission struct {
	rights   *catalog.Rights
	schema   uint64
	draft    *catalog.Draft
	database cluster.ObjectID
}

// permitQuery refuses a query that reads or writes what the session's role may not. What
// was permitted is not looked at again until a role or an object changes.
func (s *Session) permitQuery(p *Prepared, q *syntax.Query) error {
	now := permission{s.rights(), s.server.catalog.View().SchemaVersion, s.draft, s.database}
	if p.permitted == now {
		return nil
	}
	if !now.rights.Super || s.filling || s.viewsOfOthers(p) {
		look := permit.Query
		if p.named {
			look = permit.Relations
		}
		if err := look(s.scope(), p.query(q)); err != nil {
			return s.denied(verb(q), err)
		}
	}
	p.permitted = now
	return nil
}

// viewsOfOthers reports whether the plan reads views, whose owners have to be allowed to
// read what they show even if the session's role is.
func (s *Session) viewsOfOthers(p *Prepared) bool {
	return slices.ContainsFunc(p.found, func(f found) bool { return f.view != nil })
}

// permitNames refuses a query that names schemas which the session's role may not use:
// whether there is what it names in them is not told.
func (s *Session) permitNames(scope catalog.Scope, p *Prepared, q *syntax.Query) error {
	if scope.Rights.Super || p.named {
		return nil
	}
	if err := permit.Schemas(scope, q); err != nil {
		return s.denied(verb(q), err)
	}
	return nil
}

// denied records a refusal for want of privileges.
func (s *Session) denied(statement string, err error) error {
	var refusal *syntax.Error
	if errors.As(err, &refusal) && refusal.Code == "42501" && s.server.cfg.Denied != nil {
		s.server.cfg.Denied(Denial{User: s.options.User, Remote: s.options.Remote, Statement: statement, Why: refusal.Message})
	}
	return err
}

// owners finds out who the owners are that the session's statements name.
func (s *Session) owners() permit.Owners {
	return permit.Owners{Role: s.owner, OfDatabase: s.databaseOwner}
}

// permits refuses what a read-only transaction may not do.
func (m modes) permits(q *syntax.Query, plan *queryplan.Plan) error {
	what := changes(q, plan)
	if !m.readOnly || what == "" {
		return nil
	}
	return &Error{Code: "25006", Message: "cannot execute " + what + " in a read-only transaction"}
}

// changes names what a query does beside reading; "": nothing.
func changes(q *syntax.Query, plan *queryplan.Plan) string {
	what := verb(q)
	locked := plan.Locks()
	if locked == nil && q.Select != nil && (plan.With == nil || len(plan.With.Changing()) == 0) {
		return ""
	}
	if locked != nil {
		what += " " + locked.Strength.String()
	}
	return what
}

func verb(q *syntax.Query) string {
	switch {
	case q.Insert != nil:
		return "INSERT"
	case q.Update != nil:
		return "UPDATE"
	case q.Delete != nil:
		return "DELETE"
	case q.Merge != nil:
		return "MERGE"
	default:
		return "SELECT"
	}
}
