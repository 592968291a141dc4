package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// databaseOptions are the options of CREATE DATABASE and the values that say what a
// database is anyway, in lower case.
var databaseOptions = map[string][]string{
	"encoding":          {"utf8", "utf-8", "unicode", "6"},
	"template":          {"template0", "template1"},
	"locale":            {"c", "posix", "c.utf-8", "c.utf8"},
	"lc_collate":        {"c", "posix", "c.utf-8", "c.utf8"},
	"lc_ctype":          {"c", "posix", "c.utf-8", "c.utf8"},
	"locale_provider":   {"libc"},
	"tablespace":        {"pg_default"},
	"allow_connections": {"true", "on", "1"},
	"connection_limit":  {"-1"},
	"is_template":       {"false", "off", "0"},
	"strategy":          {"wal_log", "file_copy"},
}

// databaseOwner reads the options of CREATE DATABASE: all but the owner can only say what
// is so anyway.
func (s *Session) databaseOwner(options []syntax.Option) (string, error) {
	owner := s.user
	for _, o := range options {
		if o.Name == "owner" && o.Value != "" {
			var err error
			if owner, err = s.owner(syntax.RoleName{Name: o.Value, Position: o.Position}); err != nil {
				return "", err
			}
		}
		values, known := databaseOptions[o.Name]
		switch {
		case o.Name == "owner" || known && o.Value == "": // DEFAULT
		case !known:
			return "", &syntax.Error{Code: "42601", Message: fmt.Sprintf("option %q not recognized", o.Name), Position: o.Position}
		case !slices.Contains(values, strings.ToLower(o.Value)):
			return "", &syntax.Error{Code: "0A000", Message: fmt.Sprintf("%s %q of a database is not supported", strings.ToUpper(o.Name), o.Value),
				Hint: "Leave it out. Text is UTF8, and ordered by its bytes.", Position: o.Position}
		}
	}
	return owner, nil
}

// createDatabase runs CREATE DATABASE.
func (s *Session) createDatabase(ctx context.Context, node *syntax.CreateDatabase) (string, error) {
	const tag = "CREATE DATABASE"
	if err := s.allowAlone(tag); err != nil {
		return "", err
	}
	owner, err := s.databaseOwner(node.Options)
	if err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.CreateDatabase(ctx, in, node.Name, owner)
	})
}

// dropDatabase runs DROP DATABASE.
func (s *Session) dropDatabase(ctx context.Context, node *syntax.DropDatabase) (string, error) {
	const tag = "DROP DATABASE"
	if err := s.allowAlone(tag); err != nil {
		return "", err
	}
	database, err := s.scope().FindDatabase(node.Name)
	if err != nil {
		if node.IfExists {
			s.notice("NOTICE", "00000", "database %q does not exist, skipping", node.Name)
			return tag, nil
		}
		return "", err
	}
	if database.ID == s.database {
		return "", &Error{Code: "55006", Message: "cannot drop the currently open database"}
	}
	if node.Force {
		return "", syntax.Unsupported("DROP DATABASE ... WITH (FORCE)", "End its sessions with pg_terminate_backend; pg_stat_activity names them.")
	}
	if err := s.checkUnused(ctx, database); err != nil {
		return "", err
	}
	return tag, s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) {
		return s.server.catalog.DropDatabase(in, node.Name)
	})
}

func (s *Session) renameDatabase(ctx context.Context, tag, name, to string) error {
	database, err := s.scope().FindDatabase(name)
	if err != nil {
		return err
	}
	if database.ID == s.database {
		return &Error{Code: "0A000", Message: "current database cannot be renamed"}
	}
	if err := s.checkUnused(ctx, database); err != nil {
		return err
	}
	return s.changeObjects(ctx, tag, func(in catalog.Scope) (*catalog.Draft, error) { return s.server.catalog.RenameDatabase(in, name, to) })
}

// checkUnused refuses to change a database that sessions are in. A node that does not
// answer may have some.
func (s *Session) checkUnused(ctx context.Context, database *cluster.Object) error {
	found, missing := s.server.cfg.Views.Sessions(ctx)
	count := 0
	for i := range found {
		if found[i].Database == database.ID {
			count++
		}
	}
	e := &Error{Code: "55006", Message: fmt.Sprintf("database %q is being accessed by other users", database.Name)}
	switch {
	case count == 1:
		e.Detail = "There is 1 other session using the database."
	case count > 1:
		e.Detail = fmt.Sprintf("There are %d other sessions using the database.", count)
	case len(missing) > 0:
		e.Message = fmt.Sprintf("it is not known whether database %q is being accessed by other users", database.Name)
		e.Detail = fmt.Sprintf("No answer from %s.", clusterview.NodeNames(missing).Text())
		e.Hint = "Try again when the nodes answer, or remove those that never will: nodedbctl nodes."
	default:
		return nil
	}
	return e
}
