package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// alterRoleSet runs ALTER ROLE ... SET and RESET: what the role's sessions begin with.
func (s *Session) alterRoleSet(ctx context.Context, node *syntax.SetRole) (string, error) {
	const tag = "ALTER ROLE"
	if node.All {
		return "", syntax.Unsupported("ALTER ROLE ALL SET", "Write ALTER DATABASE ... SET for each database, or ALTER ROLE ... SET for each role.")
	}
	if err := s.allowAlone(tag); err != nil {
		return "", err
	}
	setting, value, err := s.sessionSetting(&node.Set)
	if err != nil {
		return "", err
	}
	change := &metastate.SessionSetting{Name: setting, Value: value}
	if node.Database != "" {
		database, err := s.scope().FindDatabase(node.Database)
		if err != nil {
			return "", err
		}
		change.Database = database.ID
	}
	name := s.roleName(node.Role)
	if _, there := s.server.catalog.View().Users[name]; !there {
		return "", &Error{Code: "42704", Message: fmt.Sprintf("role %q does not exist", name)}
	}
	return tag, s.proposeRole(ctx, metastate.Command{ChangeUser: &metastate.ChangeUser{Name: name, SessionSetting: change}})
}

// alterDatabaseSet runs ALTER DATABASE ... SET and RESET: what sessions in it begin with.
func (s *Session) alterDatabaseSet(ctx context.Context, node *syntax.SetDatabase) (string, error) {
	const tag = "ALTER DATABASE"
	setting, value, err := s.sessionSetting(&node.Set)
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.SetDatabase(in, node.Name, setting, value)
	})
}

// sessionSetting is the name of a setting as SHOW ALL spells it, "" for all, and the value that
// sessions are to begin with, as it was written; nil: it is taken back.
func (s *Session) sessionSetting(set *syntax.SetSetting) (name string, value *string, err error) {
	if set.Name == "" {
		return "", nil, nil
	}
	if k, ok := s.server.settings[set.Name]; ok {
		name = k.Name
	} else {
		name = set.Name
	}
	if len(set.Values) == 0 {
		if err := s.settings.CheckName(set.Name); err != nil {
			return "", nil, err
		}
		return name, nil, nil
	}
	given := valueOf(set)
	if _, err := s.settings.Check(set.Name, given); err != nil {
		return "", nil, err
	}
	return name, &given, nil
}

// begins are the settings that a session in a database begins with, the strongest last.
func begins(view *metastate.View, database *cluster.Object, user string) []settingsFrom {
	out := []settingsFrom{{"database", database.SessionSettings}}
	if u := view.Users[user]; u != nil {
		out = append(out, settingsFrom{"user", u.SessionSettings[0]}, settingsFrom{"database user", u.SessionSettings[database.ID]})
	}
	return out
}

// settingsFrom are settings, and where they are from by the name that pg_settings has for it.
type settingsFrom struct {
	source string
	values map[string]string
}

// beginWith gives the session what sessions of its user in its database begin with. What no
// version knows any more is left out: nobody could log in to take it back.
func (s *Session) beginWith(view *metastate.View, database *cluster.Object) {
	for _, from := range begins(view, database, s.options.User) {
		for name, value := range from.values {
			name = strings.ToLower(name)
			if name == "application_name" && s.options.ApplicationName != "" {
				continue // the client has said more
			}
			if value, err := s.settings.Check(name, value); err == nil {
				s.settings.StartFrom(from.source, name, value)
			}
		}
	}
}
