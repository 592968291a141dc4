package sql

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// What a statement is a view of needs the role that the admin API wants of it.
const (
	roleViewer   = "viewer"
	roleOperator = "operator"
	roleAdmin    = "admin"
)

// Denial is a statement that was refused because its user lacks a role.
type Denial struct {
	User, Remote string
	Statement    string // a few words that the server chose
	Why          string
}

// adminRole is the role of the admin API that the session's current role has now, without
// its prefix.
func (s *Session) adminRole(view *metastate.View) string {
	if u := view.Users[s.user]; u != nil {
		return u.AdminRole
	}
	return ""
}

// writer is the number of the session's user, for what it commits.
func (s *Session) writer() cluster.WriterID {
	if u := s.server.catalog.View().Users[s.options.User]; u != nil {
		return u.Number
	}
	return 0
}

// need refuses users that lack a role, and records it.
func (s *Session) need(role, statement string) error {
	has := s.adminRole(s.server.catalog.View())
	if has != "" && strength(has) >= strength(role) {
		return nil
	}
	if has == "" {
		has = "none"
	}
	why := fmt.Sprintf("%s needs the role %s; %q has %s.", statement, role, s.options.User, has)
	if s.server.cfg.Denied != nil {
		s.server.cfg.Denied(Denial{User: s.options.User, Remote: s.options.Remote, Statement: statement, Why: why})
	}
	return &Error{Code: "42501", Message: "permission denied for " + statement, Detail: why,
		Hint: fmt.Sprintf("An admin may: GRANT %s%s TO the user.", rolePrefix, role)}
}

// open are the kinds of SHOW that every user needs: they tell what there is to
// query, not where the cluster keeps it or who runs it.
var open = []syntax.ShowKind{syntax.ShowSummary, syntax.ShowCollections, syntax.ShowSchemaVersion}

// maySee refuses a SHOW, or the table of the same content, to users without a
// role.
func (s *Session) maySee(kind syntax.ShowKind, statement string) error {
	if slices.Contains(open, kind) {
		return nil
	}
	return s.need(roleViewer, statement)
}

// visibleEvents leaves out what concerns credentials, unless an admin asks.
func (s *Session) visibleEvents(view *metastate.View) []*cluster.Event {
	if s.adminRole(view) == roleAdmin {
		return view.Events
	}
	return slices.DeleteFunc(slices.Clone(view.Events), func(e *cluster.Event) bool { return e.Kind.AboutCredentials() })
}
