package sql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// registry answers what regclass and its kin ask, from the catalogs as they were when it
// was made.
type registry struct {
	in    *pgcatalog.Input
	names map[datum.Type][]pgcatalog.Named
	shown map[datum.Type]map[uint32]string
}

// registry is made for each statement anew: the catalogs change.
func (s *Session) registry() duck.Registry {
	return &registry{in: s.catalogInput(context.Background(), &pgcatalog.Table{}), names: map[datum.Type][]pgcatalog.Named{}, shown: map[datum.Type]map[uint32]string{}}
}

func (r *registry) all(t datum.Type) []pgcatalog.Named {
	if _, ok := r.names[t]; !ok {
		r.names[t] = r.in.Registered(t)
	}
	return r.names[t]
}

// Shown implements duck.Registry.
func (r *registry) Shown(t datum.Type, oid uint32) string {
	if r.shown[t] == nil {
		r.shown[t] = map[uint32]string{}
		for _, o := range r.all(t) {
			r.shown[t][o.OID] = o.Shown
		}
	}
	if name, ok := r.shown[t][oid]; ok {
		return name
	}
	if oid == 0 {
		return "-"
	}
	return strconv.FormatUint(uint64(oid), 10)
}

// Number implements duck.Registry.
func (r *registry) Number(t datum.Type, text string) (uint32, error) {
	schema, name, err := registryName(t, text)
	if err != nil {
		return 0, err
	}
	if t == datum.Regtype && schema == "" || schema == pgcatalog.Schema {
		if own, ok := datum.TypeByName(name); ok && t == datum.Regtype && own != datum.Unknown {
			return own.OID(), nil
		}
	}
	elem, array := strings.CutSuffix(name, "[]")
	hits, number := 0, uint32(0)
	for _, o := range r.all(t) {
		switch {
		case schema == "" && !o.Visible, schema != "" && schema != o.Schema:
		case o.Name == name, array && o.Name == "_"+elem:
			number = o.OID
			hits++
		}
	}
	switch {
	case hits == 0:
		return 0, noObject(t, schema, name, text)
	case hits > 1 && t == datum.Regproc:
		return 0, &datum.Error{Code: "42725", Message: fmt.Sprintf("more than one function named \"%s\"", text)}
	}
	return number, nil
}

// noObject is PostgreSQL's error for a name that is no object's.
func noObject(t datum.Type, schema, name, text string) error {
	full := name
	if schema != "" {
		full = schema + "." + name
	}
	code, message := "42704", fmt.Sprintf("role \"%s\" does not exist", name)
	switch t {
	case datum.Regclass:
		code, message = "42P01", fmt.Sprintf("relation \"%s\" does not exist", full)
	case datum.Regtype:
		message = fmt.Sprintf("type \"%s\" does not exist", full)
	case datum.Regprocedure:
		if code, message = "42883", fmt.Sprintf("function \"%s\" does not exist", text); !strings.Contains(text, "(") {
			code, message = "22P02", "expected a left parenthesis"
		}
	case datum.Regproc:
		code, message = "42883", fmt.Sprintf("function \"%s\" does not exist", text)
	case datum.Regnamespace:
		code, message = "3F000", fmt.Sprintf("schema \"%s\" does not exist", name)
	case datum.Regrole:
	case datum.Regcollation:
		message = fmt.Sprintf("collation \"%s\" for encoding \"UTF8\" does not exist", full)
	default:
		return &datum.Error{Code: "0A000", Message: fmt.Sprintf("%s of a name is not supported", t.SQLName())}
	}
	return &datum.Error{Code: code, Message: message}
}

// registryName takes apart what stands for an object; a function's has its arguments
// behind it.
func registryName(t datum.Type, text string) (schema, name string, err error) {
	written, args, called := strings.Cut(text, "(")
	if t == datum.Regtype && called {
		_, after, _ := strings.Cut(args, ")")
		written = strings.TrimSpace(written) + after
	}
	if t == datum.Regprocedure && !called {
		return "", "", &datum.Error{Code: "22P02", Message: "expected a left parenthesis"}
	}
	elem, array := strings.CutSuffix(strings.TrimSpace(written), "[]")
	parts, ok := syntax.SplitName(elem)
	if !ok {
		return "", "", &datum.Error{Code: "42602", Message: "invalid name syntax"}
	}
	name = parts[len(parts)-1]
	if array {
		name += "[]"
	}
	if t == datum.Regprocedure {
		var types []string
		for arg := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(args), ")"), ",") {
			arg = strings.ToLower(strings.TrimSpace(arg))
			if own, ok := datum.TypeByName(arg); ok {
				arg = own.SQLName()
			}
			types = append(types, arg)
		}
		name += "(" + strings.Join(types, ",") + ")"
	}
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	return schema, name, nil
}
