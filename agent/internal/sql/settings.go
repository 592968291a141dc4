package sql

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// settings are the values of one session.
type settings struct {
	known map[string]*setting // by lower-case name; shared, never changed
	// start are the values from the startup packet: what RESET goes back to.
	start map[string]string
	// values were set in the session, local in the transaction (SET LOCAL).
	values, local map[string]string
	// saved are the values when the transaction began.
	saved map[string]string
	// told are the reported values that the client knows.
	told map[string]string
	// changes counts the changes: what a plan was made of may be another after one.
	changes uint64
	notify  func(name, value string)
}

// get returns a value by lower-case name.
func (s *settings) get(name string) (string, bool) {
	for _, m := range []map[string]string{s.local, s.values, s.start} {
		if v, ok := m[name]; ok {
			return v, true
		}
	}
	if k, ok := s.known[name]; ok {
		return k.value, true
	}
	return "", false
}

// origin returns what RESET goes back to, and where the value is from.
func (s *settings) origin(k *setting) (reset, source string) {
	name := strings.ToLower(k.name)
	reset, source = k.value, "default"
	if v, ok := s.start[name]; ok {
		reset, source = v, "client"
	}
	for _, m := range []map[string]string{s.values, s.local} {
		if _, ok := m[name]; ok {
			source = "session"
		}
	}
	return reset, source
}

const (
	// maxSetting bounds a value.
	maxSetting = 64 << 10
	// maxOwn bounds what an application's own settings take, names and values: a
	// session keeps them, and can have any number.
	maxOwn = 256 << 10
)

// check normalises a value for the setting called name.
func (s *settings) check(name, value string) (string, *Error) {
	k, ok := s.known[name]
	switch {
	case len(value) > maxSetting:
		return "", &Error{Code: "54000", Message: fmt.Sprintf("a value of parameter %q may have at most %d KiB", name, maxSetting>>10)}
	case !ok && strings.Contains(name, ".") && !strings.HasPrefix(name, "nodedb."):
		return value, nil // an application's own
	case !ok:
		return "", &Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
	case k.check == nil:
		return "", &Error{Code: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", k.name)}
	}
	out, ok := k.check(value)
	if ok {
		return out, nil
	}
	if k.refuse != nil {
		if err := k.refuse(value); err != nil {
			return "", err
		}
	}
	refusal := &Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", k.name, value), Hint: k.about + "."}
	if k.values != nil {
		refusal.Hint = "Available values: " + strings.Join(k.values, ", ") + "."
	}
	return "", refusal
}

// set sets a value; local ends with the transaction.
func (s *settings) set(name, value string, local bool) *Error {
	value, err := s.check(name, value)
	if err != nil {
		return err
	}
	if _, ok := s.known[name]; !ok && s.ownWithout(name)+len(name)+len(value) > maxOwn {
		return &Error{Code: "53400", Message: fmt.Sprintf("the settings app.* and the like of a session may take at most %d KiB", maxOwn>>10),
			Hint: "RESET those that are not needed any more."}
	}
	if local {
		put(&s.local, name, value)
	} else {
		delete(s.local, name)
		put(&s.values, name, value)
	}
	s.report()
	return nil
}

// ownWithout is what the application's own settings take, but for one.
func (s *settings) ownWithout(name string) int {
	n := 0
	for _, m := range []map[string]string{s.values, s.local} {
		for own, value := range m {
			if _, ok := s.known[own]; !ok && own != name {
				n += len(own) + len(value)
			}
		}
	}
	return n
}

func put(m *map[string]string, name, value string) {
	out := maps.Clone(*m)
	if out == nil {
		out = map[string]string{}
	}
	out[name] = value
	*m = out
}

// reset goes back to the start value; name "" resets all.
func (s *settings) reset(name string) *Error {
	switch k, ok := s.known[name]; {
	case name == "":
		values, local := s.values, s.local
		s.values, s.local = nil, nil
		for _, name := range roleSettings { // RESET ALL leaves the session who it is
			if v, ok := values[name]; ok {
				put(&s.values, name, v)
			}
			if v, ok := local[name]; ok {
				put(&s.local, name, v)
			}
		}
	case !ok && !strings.Contains(name, "."):
		return &Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
	case ok && k.check == nil:
		return &Error{Code: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", k.name)}
	default:
		s.values, s.local = maps.Clone(s.values), maps.Clone(s.local)
		delete(s.values, name)
		delete(s.local, name)
	}
	s.report()
	return nil
}

// roleSettings say who the session is: no other SET changes them.
var roleSettings = []string{"session_authorization", "role", "is_superuser"}

// become sets those of roleSettings that are given; a value of "" is the start's.
func (s *settings) become(values map[string]string, local bool) {
	for _, name := range roleSettings {
		v, given := values[name]
		switch {
		case !given:
		case local:
			put(&s.local, name, v)
		default:
			s.values, s.local = maps.Clone(s.values), maps.Clone(s.local)
			delete(s.local, name)
			delete(s.values, name)
			if v != "" {
				put(&s.values, name, v)
			}
		}
	}
	s.report()
}

// unbecome has the session be who it was at the start.
func (s *settings) unbecome() {
	s.become(map[string]string{"session_authorization": "", "role": "", "is_superuser": ""}, false)
}

// begin remembers the values; end drops local ones and, after a rollback, goes
// back to what was remembered.
func (s *settings) begin() { s.saved = s.values }

func (s *settings) end(rollback bool) {
	if rollback {
		s.values = s.saved
	}
	s.local, s.saved = nil, nil
	s.report()
}

// settingsMark are the values at a savepoint. The maps are never changed.
type settingsMark struct{ values, local map[string]string }

func (s *settings) mark() settingsMark { return settingsMark{s.values, s.local} }

func (s *settings) backTo(m settingsMark) {
	s.values, s.local = m.values, m.local
	s.report()
}

// report follows a change: it tells the client of reported settings that are another.
func (s *settings) report() {
	s.changes++
	for name, k := range s.known {
		if !k.reported {
			continue
		}
		v, _ := s.get(name)
		if old, ok := s.told[name]; ok && old == v {
			continue
		}
		s.told[name] = v
		if s.notify != nil {
			s.notify(k.name, v)
		}
	}
}

// duration reads a setting that is a duration; 0: none.
func (s *settings) duration(name string) time.Duration {
	v, _ := s.get(name)
	d, _ := parseDuration(v)
	return d
}

// style is how the settings want values written. location is the last one, which
// stays if it is the zone still.
func (s *settings) style(location *time.Location) datum.Style {
	zone, _ := s.get("timezone")
	if location == nil || location.String() != zone {
		location = time.UTC
		if loc, err := datum.LoadZone(zone); err == nil && zone != "UTC" {
			location = loc
		}
	}
	bytea, _ := s.get("bytea_output")
	interval, _ := s.get("intervalstyle")
	out := datum.Style{Location: location, ByteaEscape: bytea == "escape"}
	if interval != string(datum.IntervalPostgres) {
		out.Interval = datum.IntervalStyle(interval)
	}
	digits, _ := s.get("extra_float_digits")
	if extra, err := strconv.Atoi(digits); err == nil && extra < 1 {
		const digitsOfDouble = 15
		out.FloatDigits = max(digitsOfDouble+extra, 1)
	}
	return out
}
