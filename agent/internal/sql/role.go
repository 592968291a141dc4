package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// rolePrefix is what the admin roles have in front of their name in SQL.
const rolePrefix = "nodedb_"

// changeRole runs CREATE and ALTER USER. Whether the session's user may is
// decided where the command is applied; here it only saves the way.
func (s *Session) changeRole(ctx context.Context, node *syntax.ChangeRole) (string, error) {
	verb := "ALTER ROLE"
	if node.Create {
		verb = "CREATE ROLE"
	}
	if err := s.allowAlone(verb); err != nil {
		return "", err
	}
	cmd := &metastate.ChangeUser{Name: s.roleName(node.Name), Create: node.Create, ConnectionLimit: node.ConnectionLimit}
	if node.Password != nil {
		verifier, err := s.verifier(*node.Password)
		if err != nil {
			return "", err
		}
		cmd.Verifier = &verifier
	}
	if node.AdminRole != "" {
		role := strings.TrimPrefix(node.AdminRole, rolePrefix)
		cmd.AdminRole = &role
	}
	if cmd.Name == s.options.User && !s.server.passwords.allow(cmd.Name, time.Now()) {
		return "", &Error{Code: "53400", Message: "you have changed your own user a moment ago", Hint: "Once a second is allowed: try again."}
	}
	if err := s.proposeRole(ctx, metastate.Command{ChangeUser: cmd}); err != nil {
		return "", err
	}
	return verb, nil
}

// roleName resolves CURRENT_USER.
func (s *Session) roleName(name string) string {
	if name == "" {
		return s.options.User
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
		if name == s.options.User {
			return "", &Error{Code: "55006", Message: "current user cannot be dropped"}
		}
		cmd.Batch = append(cmd.Batch, metastate.Command{DropUser: &metastate.DropUser{Name: name, IfExists: node.IfExists}})
	}
	if len(cmd.Batch) == 0 {
		return "DROP ROLE", nil
	}
	return "DROP ROLE", s.proposeRole(ctx, cmd)
}

// grantRole gives users a role of the admin API, or takes it. A stronger role
// that they have stays.
func (s *Session) grantRole(ctx context.Context, node *syntax.GrantRole) (string, error) {
	tag := "GRANT ROLE"
	if node.Revoke {
		tag = "REVOKE ROLE"
	}
	if err := s.allowAlone(tag); err != nil {
		return "", err
	}
	view, cmd := s.server.catalog.View(), metastate.Command{}
	role := strings.TrimPrefix(node.Role, rolePrefix)
	for _, name := range node.To {
		name = s.roleName(name)
		u := view.Users[name]
		if u == nil {
			return "", &Error{Code: "42704", Message: fmt.Sprintf("role %q does not exist", name)}
		}
		has := u.AdminRole
		change := &metastate.ChangeUser{Name: name, AdminRole: &role, From: &has}
		switch {
		case node.Revoke && has != role:
			s.notice("WARNING", "01000", "role %q is not a member of role %q", name, node.Role)
			continue
		case node.Revoke:
			none := ""
			change.AdminRole = &none
		case has != "" && strength(has) >= strength(role):
			s.notice("NOTICE", "00000", "role %q is already a member of role %q", name, rolePrefix+has)
			continue
		}
		cmd.Batch = append(cmd.Batch, metastate.Command{ChangeUser: change})
	}
	if len(cmd.Batch) == 0 {
		return tag, nil
	}
	return tag, s.proposeRole(ctx, cmd)
}

func strength(adminRole string) int { return slices.Index(syntax.AdminRoles, rolePrefix+adminRole) }

// proposeRole proposes in the session's name and says in SQL's words what was
// refused.
func (s *Session) proposeRole(ctx context.Context, cmd metastate.Command) error {
	cmd.By, cmd.Via, cmd.Source = s.options.User, metastate.ViaSQL, s.options.Remote
	_, err := s.server.catalog.Propose(ctx, cmd)
	var refusal *metastate.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	codes := map[metastate.Code]string{
		metastate.CodeDenied: "42501", metastate.CodeExists: "42710", metastate.CodeNotFound: "42704",
		metastate.CodeConflict: "2BP01", metastate.CodeInvalid: "22023",
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
