package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// rolePrefix is what the admin roles have in front of their name in SQL.
const rolePrefix = "nodedb_"

// changeRole runs CREATE and ALTER USER, ROLE and GROUP. Whether the session's user may is
// decided where the command is applied; here it only saves the way.
func (s *Session) changeRole(ctx context.Context, node *syntax.ChangeRole) (string, error) {
	verb := "ALTER ROLE"
	if node.Create {
		verb = "CREATE ROLE"
	}
	if err := s.allowAlone(verb); err != nil {
		return "", err
	}
	cmd, err := s.roleChange(node)
	if err != nil {
		return "", err
	}
	if cmd.Name == s.options.User && !s.server.passwords.allow(cmd.Name, time.Now()) {
		return "", &Error{Code: "53400", Message: "you have changed your own user a moment ago", Hint: "Once a second is allowed: try again."}
	}
	members, err := s.firstMembers(node, cmd)
	if err != nil {
		return "", err
	}
	if len(members) == 0 {
		return verb, s.proposeRole(ctx, metastate.Command{ChangeUser: cmd})
	}
	return verb, s.proposeRole(ctx, metastate.Command{Batch: append([]metastate.Command{{ChangeUser: cmd}}, members...)})
}

// roleChange is the command of CREATE and ALTER ROLE, but for members.
func (s *Session) roleChange(node *syntax.ChangeRole) (*metastate.ChangeUser, error) {
	cmd := &metastate.ChangeUser{Name: s.roleName(node.Name), Create: node.Create, ConnectionLimit: node.ConnectionLimit,
		NoLogin: not(node.Login), NoInherit: not(node.Inherit), CreateDB: node.CreateDB, CreateRole: node.CreateRole, BypassRLS: node.BypassRLS}
	if node.Create && node.Login == nil && node.Word != "USER" {
		cmd.NoLogin = new(true)
	}
	if node.Password != nil {
		verifier, err := s.verifier(*node.Password)
		if err != nil {
			return nil, err
		}
		cmd.Verifier = &verifier
	}
	if node.ValidUntil != nil {
		until, err := s.validUntil(*node.ValidUntil)
		if err != nil {
			return nil, err
		}
		cmd.ValidUntil = &until
	}
	u := s.server.catalog.View().Users[cmd.Name]
	switch {
	case node.Superuser == nil:
	case *node.Superuser:
		cmd.AdminRole = new(roleAdmin)
	case u.Superuser():
		cmd.AdminRole = new("")
	}
	return cmd, nil
}

// not turns an option around; nil stays nil.
func not(option *bool) *bool {
	if option == nil {
		return nil
	}
	return new(!*option)
}

// validUntil reads VALID UNTIL; infinity and the empty text are no end.
func (s *Session) validUntil(text string) (time.Time, error) {
	v, err := datum.ParseText(datum.Timestamptz, text, s.style.Location)
	if err != nil {
		return time.Time{}, &Error{Code: "22007", Message: fmt.Sprintf("invalid input syntax for type timestamp with time zone: %q", text)}
	}
	const lastYear = 9999 // that JSON can write
	switch at := v.Time(); {
	case v.I == datum.TimestampInfinity || at.Year() > lastYear:
		return time.Time{}, nil
	case at.Year() < 1:
		return time.Unix(0, 0).UTC(), nil
	default:
		return at, nil
	}
}

// firstMembers are the commands of IN ROLE, ROLE and ADMIN. IN ROLE of a role of the admin
// API is what the user itself gets.
func (s *Session) firstMembers(node *syntax.ChangeRole, cmd *metastate.ChangeUser) ([]metastate.Command, error) {
	var out []metastate.Command
	for _, r := range node.In {
		if slices.Contains(syntax.AdminRoles, r.Name) {
			cmd.AdminRole = new(strings.TrimPrefix(r.Name, rolePrefix))
			continue
		}
		name, err := s.owner(r)
		if err != nil {
			return nil, err
		}
		out = append(out, metastate.Command{ChangeMember: &metastate.ChangeMember{Role: name, Member: cmd.Name, Grantor: s.user}})
	}
	for _, list := range []struct {
		roles []syntax.RoleName
		admin bool
	}{{node.Members, false}, {node.Admins, true}} {
		for _, r := range list.roles {
			name, err := s.owner(r)
			if err != nil {
				return nil, err
			}
			out = append(out, metastate.Command{ChangeMember: &metastate.ChangeMember{Role: cmd.Name, Member: name, Admin: list.admin, Grantor: s.user}})
		}
	}
	return out, nil
}

// roleName resolves CURRENT_USER.
func (s *Session) roleName(name string) string {
	if name == "" {
		return s.user
	}
	return name
}

// verifier is what is stored of a password. One that the client has hashed, as
// psql's \password does, is stored as it is: then no node has seen the password.
func (s *Session) verifier(password string) (string, error) {
	switch {
	case password == "":
		return "", nil
	case auth.IsSCRAMVerifier(password):
		return password, nil
	case strings.HasPrefix(password, "SCRAM-SHA-256$"):
		return "", &Error{Code: "22023", Message: "the SCRAM verifier is malformed"}
	case strings.HasPrefix(password, "md5") && len(password) == 35:
		return "", &Error{Code: "0A000", Message: "MD5 passwords are not supported", Hint: "Give the password, or a SCRAM-SHA-256 verifier."}
	}
	v, err := auth.NewSCRAMVerifier(password)
	if err != nil {
		return "", &Error{Code: "22023", Message: "the password cannot be used"}
	}
	return v, nil
}

func (s *Session) dropRole(ctx context.Context, node *syntax.DropRole) (string, error) {
	if err := s.allowAlone("DROP ROLE"); err != nil {
		return "", err
	}
	view, cmd := s.server.catalog.View(), metastate.Command{}
	for _, name := range node.Names {
		name = s.roleName(name)
		if node.IfExists && view.Users[name] == nil {
			s.notice("NOTICE", "00000", "role %q does not exist, skipping", name)
			continue
		}
		switch {
		case name == s.user:
			return "", &Error{Code: "55006", Message: "current user cannot be dropped"}
		case name == s.options.User || name == s.sessionUser():
			return "", &Error{Code: "55006", Message: "session user cannot be dropped"}
		}
		if lines := s.dependents(view, name); len(lines) > 0 {
			return "", &Error{Code: "2BP01", Message: fmt.Sprintf("role %q cannot be dropped because some objects depend on it", name), Detail: catalog.Lines(lines)}
		}
		cmd.Batch = append(cmd.Batch, metastate.Command{DropUser: &metastate.DropUser{Name: name, IfExists: node.IfExists}})
	}
	if len(cmd.Batch) == 0 {
		return "DROP ROLE", nil
	}
	return "DROP ROLE", s.proposeRole(ctx, cmd)
}

// grantRole makes roles members of others, or ends that.
func (s *Session) grantRole(ctx context.Context, node *syntax.GrantRole) (string, error) {
	if err := s.allowAlone(node.Tag); err != nil {
		return "", err
	}
	if node.GrantedBy != nil {
		if by, err := s.owner(*node.GrantedBy); err != nil || by != s.user && !s.rights().Super {
			return "", cmp.Or(err, error(&Error{Code: "0A000", Message: "grantor must be current user"}))
		}
	}
	cmd := metastate.Command{}
	for _, role := range node.Roles {
		for _, r := range node.To {
			name, err := s.owner(r)
			if err != nil {
				return "", err
			}
			part, err := s.grantOne(node, role, name)
			if err != nil {
				return "", err
			}
			if part != nil {
				cmd.Batch = append(cmd.Batch, *part)
			}
		}
	}
	if len(cmd.Batch) == 0 {
		return node.Tag, nil
	}
	return node.Tag, s.proposeRole(ctx, cmd)
}

// grantOne is the command that makes one role a member of another, or ends that; nil:
// there is nothing to do.
func (s *Session) grantOne(node *syntax.GrantRole, role, name string) (*metastate.Command, error) {
	view := s.server.catalog.View()
	if slices.Contains(syntax.AdminRoles, role) {
		if node.Admin {
			return nil, syntax.Unsupported("ADMIN OPTION of "+role, "Admins give the roles of the admin API.")
		}
		return s.grantAdmin(node.Revoke, view.Users[name], role), nil
	}
	if view.Users[role] == nil {
		return nil, &Error{Code: "42704", Message: fmt.Sprintf("role %q does not exist", role)}
	}
	m, member := view.Users[name].Member(role)
	switch {
	case node.Revoke && !member:
		s.notice("WARNING", "01000", "role %q is not a member of role %q", name, role)
		return nil, nil //nolint:nilnil // there is nothing to do
	case !node.Revoke && member && (m.Admin || !node.Admin):
		s.notice("NOTICE", "00000", "role %q is already a member of role %q", name, role)
		return nil, nil //nolint:nilnil // there is nothing to do
	}
	return &metastate.Command{ChangeMember: &metastate.ChangeMember{Role: role, Member: name, Revoke: node.Revoke,
		Admin: node.Admin && !node.Revoke, OnlyAdmin: node.Admin && node.Revoke, Grantor: s.user}}, nil
}

// grantAdmin gives a user a role of the admin API, or takes it. A stronger role that it
// has stays.
func (s *Session) grantAdmin(revoke bool, u *metastate.User, full string) *metastate.Command {
	role, has := strings.TrimPrefix(full, rolePrefix), u.AdminRole
	change := &metastate.ChangeUser{Name: u.Name, AdminRole: &role, From: &has}
	switch {
	case revoke && has != role:
		s.notice("WARNING", "01000", "role %q is not a member of role %q", u.Name, full)
		return nil
	case revoke:
		change.AdminRole = new("")
	case has != "" && strength(has) >= strength(role):
		s.notice("NOTICE", "00000", "role %q is already a member of role %q", u.Name, rolePrefix+has)
		return nil
	}
	return &metastate.Command{ChangeUser: change}
}

// dependents is the DETAIL of a role that cannot be dropped. Objects of other databases are
// only counted, as PostgreSQL does.
func (s *Session) dependents(view *metastate.View, role string) []string {
	if !s.rights().Super && (s.rights().User() == nil || !s.rights().User().CreateRole) {
		return nil // who may not drop it is told so, and not what it owns
	}
	return view.Dependents(role)
}

func strength(adminRole string) int { return slices.Index(syntax.AdminRoles, rolePrefix+adminRole) }

// proposeRole proposes in the session's name and says in SQL's words what was
// refused.
func (s *Session) proposeRole(ctx context.Context, cmd metastate.Command) error {
	if s.user != s.options.User && !s.mayChangeRoles(&cmd) {
		return s.denied("ROLE", &syntax.Error{Code: "42501", Message: "permission denied", Detail: fmt.Sprintf("The current role %q may not.", s.user)})
	}
	cmd.By, cmd.Via, cmd.Source = s.options.User, metastate.ViaSQL, s.options.Remote
	_, err := s.server.catalog.Propose(ctx, cmd)
	var refusal *metastate.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	codes := map[metastate.Code]string{
		metastate.CodeDenied: "42501", metastate.CodeExists: "42710", metastate.CodeNotFound: "42704",
		metastate.CodeConflict: "2BP01", metastate.CodeInvalid: "22023", metastate.CodeCircle: "0LP01", metastate.CodeReferenced: "2BP01",
	}
	e := &Error{Code: codes[refusal.Code], Message: refusal.Message}
	switch refusal.Code {
	case metastate.CodeDenied:
		e.Message, e.Detail, e.Hint = "permission denied", refusal.Message, "An admin may: GRANT nodedb_admin TO the user."
	case metastate.CodeExists, metastate.CodeNotFound:
		e.Message = strings.Replace(refusal.Message, "user", "role", 1)
	}
	if e.Code == "" {
		e.Code = "55000"
	}
	return e
}

// mayChangeRoles reports whether the role that the session has become may ask for cmd: the
// meta range looks only at who is logged in.
func (s *Session) mayChangeRoles(cmd *metastate.Command) bool {
	r := s.rights()
	if r.Super {
		return true
	}
	for i := range cmd.Batch {
		if !s.mayChangeRoles(&cmd.Batch[i]) {
			return false
		}
	}
	switch m := cmd.ChangeMember; {
	case cmd.Batch != nil:
		return true
	case m != nil && s.server.catalog.View().AdminOf(s.user, m.Role):
		return true
	}
	return r.User() != nil && r.User().CreateRole
}

// ownChanges lets each user change itself once a second: every change is a record
// of the audit, and every user may ask for it.
type ownChanges struct {
	mu   sync.Mutex
	last map[string]time.Time // of this second
}

func (o *ownChanges) allow(user string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, at := range o.last { // users that exist: few
		if now.Sub(at) >= time.Second {
			delete(o.last, name)
		}
	}
	if _, recent := o.last[user]; recent {
		return false
	}
	if o.last == nil {
		o.last = map[string]time.Time{}
	}
	o.last[user] = now
	return true
}
