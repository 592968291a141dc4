package sql

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// extensions are those of PostgreSQL whose functions, or the best known of them, are there
// without being asked for: migrations name them.
var extensions = map[string]string{ //nolint:gochecknoglobals // never changed
	"plpgsql":   "The language is always there.",
	"pgcrypto":  "gen_random_uuid, digest and hmac are always there; the others of this extension are not.",
	"uuid-ossp": "uuid_generate_v4 is always there; of the others of this extension there is none.",
}

// createExtension carries CREATE EXTENSION out: what there is, is there.
func (s *Session) createExtension(node *syntax.CreateExtension) (string, error) {
	what, ok := extensions[node.Name]
	message := fmt.Sprintf("extension %q already exists", node.Name)
	switch {
	case !ok:
		return "", &Error{Code: "0A000", Message: fmt.Sprintf("extension %q is not available", node.Name), Hint: "NodeDB has the extensions pgcrypto, plpgsql and uuid-ossp built in, as far as docs/SQL.md says, and no others."}
	case node.IfNotExists:
		s.tell(&Error{Severity: "NOTICE", Code: "42710", Message: message + ", skipping", Detail: what})
		return "CREATE EXTENSION", nil
	}
	return "", &Error{Code: "42710", Message: message, Detail: what, Hint: "Write CREATE EXTENSION IF NOT EXISTS."}
}

// dropExtension carries DROP EXTENSION out.
func (s *Session) dropExtension(node *syntax.DropExtension) (string, error) {
	for _, name := range node.Names {
		switch _, ok := extensions[name]; {
		case ok:
			return "", &Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop extension %s because it is required by the database system", name)}
		case !node.IfExists:
			return "", &Error{Code: "42704", Message: fmt.Sprintf("extension %q does not exist", name)}
		}
		s.notice("NOTICE", "00000", "extension %q does not exist, skipping", name)
	}
	return "DROP EXTENSION", nil
}
