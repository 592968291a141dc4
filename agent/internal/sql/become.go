package sql

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// noRole is the role of a session that is who it is authorized as.
const noRole = "none"

// sessionUser is who the session is authorized as.
func (s *Session) sessionUser() string {
	name, _ := s.settings.Get("session_authorization")
	return name
}

// followRole has the current role be whose function runs, if that is SECURITY DEFINER, or
// that of the settings.
func (s *Session) followRole() {
	if s.user = s.definer; s.user != "" {
		return
	}
	s.user, _ = s.settings.Get("role")
	if s.user == noRole || s.user == "" {
		s.user = s.sessionUser()
	}
}

// mayLogIn refuses sessions of roles that are there to have members, and of who may not
// connect to the database.
func (s *Session) mayLogIn(view *metastate.View, database *cluster.Object) error {
	rights := catalog.RightsOf(view, s.options.User)
	switch u := rights.User(); {
	case u == nil: // who is authenticated and was dropped a moment ago
		return &Error{Severity: "FATAL", Code: "28000", Message: fmt.Sprintf("role %q does not exist", s.options.User)}
	case s.options.inside:
	case u.NoLogin:
		return s.refuseLogin(&syntax.Error{Code: "28000", Message: fmt.Sprintf("role %q is not permitted to log in", s.options.User)})
	case !rights.May(database, cluster.Connect):
		refusal := catalog.Denied(database)
		refusal.Detail = "User does not have CONNECT privilege."
		return s.refuseLogin(refusal)
	}
	if rights.Super {
		s.settings.Start("is_superuser", "on")
	}
	return nil
}

// refuseLogin records a refusal, and ends the session with it.
func (s *Session) refuseLogin(refusal *syntax.Error) error {
	out := *AsError(s.denied("connect", refusal))
	out.Severity = "FATAL"
	return &out
}

// setRole runs SET ROLE and SET SESSION AUTHORIZATION; without a value it is RESET.
func (s *Session) setRole(name string, values []string, local bool) error {
	if s.definer != "" {
		return s.denied("SET ROLE", &syntax.Error{Code: "42501", Message: fmt.Sprintf("cannot set parameter %q within security-definer function", name)})
	}
	to := ""
	if len(values) > 0 {
		to = values[0]
	}
	view := s.server.catalog.View()
	become := map[string]string{"role": noRole}
	switch {
	case to == "" && name == "role" || name == "role" && to == noRole:
	case to == "":
		become["session_authorization"] = s.options.User
	case view.Users[to] == nil:
		return &Error{Code: "22023", Message: fmt.Sprintf("role %q does not exist", to)}
	case name == "role":
		authorized := s.sessionUser()
		if !view.Users[authorized].Superuser() && !view.MemberOf(authorized)[to] {
			return s.denied("SET ROLE", &syntax.Error{Code: "42501", Message: fmt.Sprintf("permission denied to set role %q", to)})
		}
		become["role"] = to
	case to != s.options.User && !view.Users[s.options.User].Superuser():
		return s.denied("SET SESSION AUTHORIZATION", &syntax.Error{Code: "42501", Message: "permission denied to set session authorization"})
	default:
		become["session_authorization"] = to
	}
	if local && s.tx == nil { // until the end of the statement, which is now
		return nil
	}
	current := become["role"]
	if current == noRole {
		if current = become["session_authorization"]; current == "" {
			current = s.sessionUser()
		}
	}
	become["is_superuser"] = onOff(new(view.Users[current].Superuser()))
	s.settings.Become(become, local)
	s.followSettings()
	return nil
}
