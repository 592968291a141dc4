package sql

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/settings"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// setSetting runs SET and RESET.
func (s *Session) setSetting(node *syntax.SetSetting) (string, error) {
	tag := "SET"
	if node.Reset {
		tag = "RESET"
	}
	if len(node.Values) > 0 {
		if m, ok, err := s.asModes(node.Name, valueOf(node)); err != nil {
			return "", err
		} else if ok && s.tx != nil {
			return tag, s.setModes(m)
		} else if ok { // until the end of the statement, which is now
			return tag, nil
		}
	}
	var err *syntax.Error
	switch {
	case node.Name == "session_authorization" || node.Name == "role":
		if node.Local && s.tx == nil {
			s.notice("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks")
		}
		if err := s.setRole(node.Name, node.Values, node.Local); err != nil {
			return "", err
		}
	case len(node.Values) == 0:
		err = s.settings.Reset(node.Name)
	case node.Local && s.tx == nil:
		s.notice("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks")
		_, err = s.settings.Check(node.Name, valueOf(node))
	default:
		err = s.settings.Set(node.Name, valueOf(node), node.Local)
	}
	if err != nil {
		return "", err
	}
	s.followSettings()
	return tag, nil
}

// valueOf is the value that SET gives.
func valueOf(node *syntax.SetSetting) string {
	if node.Name == "search_path" {
		return settings.JoinPath(node.Values)
	}
	return strings.Join(node.Values, ", ")
}

// setConfig is set_config; a nil value is the default.
func (s *Session) setConfig(name string, value *string, local bool) (string, error) {
	name = strings.ToLower(name)
	if value != nil {
		m, ok, err := s.asModes(name, *value)
		if ok && err == nil && s.tx != nil {
			err = s.setModes(m)
		}
		if ok {
			out, _ := s.setting(name)
			return out, err
		}
	}
	if name == "session_authorization" || name == "role" {
		var values []string
		if value != nil {
			values = []string{*value}
		}
		if err := s.setRole(name, values, local); err != nil {
			return "", err
		}
		if local && s.tx == nil && value != nil { // until the end of the statement, which is now
			return *value, nil
		}
		out, _ := s.setting(name)
		return out, nil
	}
	var err *syntax.Error
	switch {
	case value == nil:
		err = s.settings.Reset(name)
	case local && s.tx == nil: // until the end of the statement, which is now
		out, err := s.settings.Check(name, *value)
		if err != nil {
			return "", err
		}
		return out, nil
	default:
		err = s.settings.Set(name, *value, local)
	}
	if err != nil {
		return "", err
	}
	s.followSettings()
	out, _ := s.setting(name)
	return out, nil
}

// describeSetting describes the rows of SHOW name.
func (s *Session) describeSetting(node *syntax.ShowSetting) ([]Column, error) {
	if node.Name == "all" {
		return []Column{textColumn("name"), textColumn("setting"), textColumn("description")}, nil
	}
	name := node.Name
	if known, ok := s.server.settings[name]; ok {
		name = known.Name
	} else if _, ok := s.settings.Get(name); !ok {
		return nil, &Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", node.Name)}
	}
	return []Column{textColumn(name)}, nil
}

func (s *Session) showSetting(node *syntax.ShowSetting, sink RowSink) (string, error) {
	columns, err := s.describeSetting(node)
	if err != nil {
		return "", err
	}
	out := &output{sink: sink, columns: columns}
	if node.Name != "all" {
		value, _ := s.setting(node.Name)
		return "SHOW", out.row([]datum.Datum{datum.MakeText(value)})
	}
	for _, k := range s.server.settings.All() {
		value, _ := s.setting(strings.ToLower(k.Name))
		if err := out.row([]datum.Datum{datum.MakeText(k.Name), datum.MakeText(value), datum.MakeText(k.About)}); err != nil {
			return "", err
		}
	}
	return "SHOW", nil
}

// discard runs DISCARD and DEALLOCATE. Prepared statements belong to the protocol
// layer, which looks at the tag.
func (s *Session) discard(ctx context.Context, node *syntax.Discard) (string, error) {
	if node.All || node.Tag == "DISCARD SEQUENCES" {
		s.numbering.values, s.numbering.last = nil, 0
	}
	if node.Tag == "DISCARD TEMP" {
		return node.Tag, s.discardTemporary(ctx)
	}
	if !node.All {
		return node.Tag, nil
	}
	if s.tx != nil {
		return "", &Error{Code: "25001", Message: "DISCARD ALL cannot run inside a transaction block"}
	}
	if err := s.discardTemporary(ctx); err != nil {
		return "", err
	}
	s.plans, s.named, s.namedCost = nil, nil, 0
	s.closeCursors(func(*cursor) bool { return true })
	s.unlockAdvisory(false)
	s.unlisten()
	if err := s.settings.Reset(""); err != nil {
		return "", err
	}
	s.settings.Unbecome()
	s.followSettings()
	return node.Tag, nil
}
