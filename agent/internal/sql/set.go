package sql

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
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
	var err *Error
	switch {
	case node.Name == "session_authorization" || node.Name == "role":
		if node.Local && s.tx == nil {
			s.notice("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks")
		}
		if err := s.setRole(node.Name, node.Values, node.Local); err != nil {
			return "", err
		}
	case len(node.Values) == 0:
		err = s.settings.reset(node.Name)
	case node.Local && s.tx == nil:
		s.notice("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks")
		_, err = s.settings.check(node.Name, valueOf(node))
	default:
		err = s.settings.set(node.Name, valueOf(node), node.Local)
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
		return joinPath(node.Values)
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
		out, _ := s.setting(name)
		return out, nil
	}
	var err *Error
	switch {
	case value == nil:
		err = s.settings.reset(name)
	case local && s.tx == nil: // until the end of the statement, which is now
		out, err := s.settings.check(name, *value)
		if err != nil {
			return "", err
		}
		return out, nil
	default:
		err = s.settings.set(name, *value, local)
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
	if known, ok := s.settings.known[name]; ok {
		name = known.name
	} else if _, ok := s.settings.get(name); !ok {
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
	for _, k := range s.allSettings() {
		value, _ := s.setting(strings.ToLower(k.name))
		if err := out.row([]datum.Datum{datum.MakeText(k.name), datum.MakeText(value), datum.MakeText(k.about)}); err != nil {
			return "", err
		}
	}
	return "SHOW", nil
}

// allSettings lists the known settings by name.
func (s *Session) allSettings() []*setting {
	var all []*setting
	for _, k := range s.settings.known {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *setting) int { return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	return all
}

// discard runs DISCARD and DEALLOCATE. Prepared statements belong to the protocol
// layer, which looks at the tag.
func (s *Session) discard(node *syntax.Discard) (string, error) {
	if node.All || node.Tag == "DISCARD SEQUENCES" {
		s.numbering.values, s.numbering.last = nil, 0
	}
	if !node.All {
		return node.Tag, nil
	}
	if s.tx != nil {
		return "", &Error{Code: "25001", Message: "DISCARD ALL cannot run inside a transaction block"}
	}
	s.plans = nil
	s.unlockAdvisory(false)
	if err := s.settings.reset(""); err != nil {
		return "", err
	}
	s.settings.unbecome()
	s.followSettings()
	return node.Tag, nil
}
