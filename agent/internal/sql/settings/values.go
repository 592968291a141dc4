package settings

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Values are the values of one session.
type Values struct {
	known Table // shared, never changed
	// start are the values from the startup packet: what RESET goes back to.
	start map[string]string
	// from says where values of start are from that the client has not sent, by pg_settings'
	// words.
	from map[string]string
	// values were set in the session, local in the transaction (SET LOCAL).
	values, local map[string]string
	// saved are the values when the transaction began.
	saved map[string]string
	// told are the reported values that the client knows.
	told map[string]string
	// own are the names of an application's own settings that were ever set: one that has no
	// value any more is empty, as in PostgreSQL, which keeps its place.
	own map[string]bool
	// changes counts the changes: what a plan was made of may be another after one.
	changes uint64
	notify  func(name, value string)
}

// New returns the values of a session of a user.
func New(known Table, user string) *Values {
	return &Values{known: known, start: map[string]string{"session_authorization": user}, told: map[string]string{}}
}

// Start sets the value that a session begins with, and that RESET goes back to, without a
// check.
func (s *Values) Start(name, value string) {
	s.start[name] = value
	delete(s.from, name)
}

// StartFrom is Start of what the client has not sent; source says who has, by pg_settings' words.
func (s *Values) StartFrom(source, name, value string) {
	s.start[name] = value
	put(&s.from, name, source)
}

// Notify has f told of each reported setting that changes from now on.
func (s *Values) Notify(f func(name, value string)) {
	s.Report()
	s.notify = f
}

// Changes counts the changes.
func (s *Values) Changes() uint64 { return s.changes }

// Get returns a value by lower-case name.
func (s *Values) Get(name string) (string, bool) {
	for _, m := range []map[string]string{s.local, s.values, s.start} {
		if v, ok := m[name]; ok {
			return v, true
		}
	}
	if k, ok := s.known[name]; ok {
		return k.Value, true
	}
	return "", s.own[name]
}

// Origin returns what RESET goes back to, and where the value is from.
func (s *Values) Origin(k *Setting) (reset, source string) {
	name := strings.ToLower(k.Name)
	reset, source = k.Value, "default"
	if v, ok := s.start[name]; ok {
		reset, source = v, cmp.Or(s.from[name], "client")
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

// Check normalises a value for the setting called name.
func (s *Values) Check(name, value string) (string, *syntax.Error) {
	k, ok := s.known[name]
	switch {
	case len(value) > maxSetting:
		return "", &syntax.Error{Code: "54000", Message: fmt.Sprintf("a value of parameter %q may have at most %d KiB", name, maxSetting>>10)}
	case !ok && strings.Contains(name, ".") && !strings.HasPrefix(name, "nodedb."):
		return value, nil // an application's own
	case !ok:
		return "", &syntax.Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
	case k.check == nil:
		return "", &syntax.Error{Code: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", k.Name)}
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
	refusal := &syntax.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", k.Name, value), Hint: k.About + "."}
	if k.values != nil {
		refusal.Hint = "Available values: " + strings.Join(k.values, ", ") + "."
	}
	return "", refusal
}

// Set sets a value; local ends with the transaction.
func (s *Values) Set(name, value string, local bool) *syntax.Error {
	value, err := s.Check(name, value)
	if err != nil {
		return err
	}
	if _, ok := s.known[name]; !ok && s.ownWithout(name)+len(name)+len(value) > maxOwn {
		return &syntax.Error{Code: "53400", Message: fmt.Sprintf("the settings app.* and the like of a session may take at most %d KiB", maxOwn>>10),
			Hint: "RESET those that are not needed any more."}
	}
	s.remember(name)
	if local {
		put(&s.local, name, value)
	} else {
		delete(s.local, name)
		put(&s.values, name, value)
	}
	s.Report()
	return nil
}

// remember keeps the name of an application's own setting, of the first ones.
func (s *Values) remember(name string) {
	const most = 1000
	if _, ok := s.known[name]; ok || len(s.own) >= most {
		return
	}
	if s.own == nil {
		s.own = map[string]bool{}
	}
	s.own[name] = true
}

// ownWithout is what the application's own settings take, but for one.
func (s *Values) ownWithout(name string) int {
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

// CheckName refuses the names of settings that there are not, or that cannot be changed.
func (s *Values) CheckName(name string) *syntax.Error {
	switch k, ok := s.known[name]; {
	case !ok && !strings.Contains(name, "."):
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
	case ok && k.check == nil:
		return &syntax.Error{Code: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", k.Name)}
	}
	return nil
}

// Reset goes back to the start value; name "" resets all.
func (s *Values) Reset(name string) *syntax.Error {
	switch {
	case name == "":
		values, local := s.values, s.local
		s.values, s.local = nil, nil
		for _, name := range roles { // RESET ALL leaves the session who it is
			if v, ok := values[name]; ok {
				put(&s.values, name, v)
			}
			if v, ok := local[name]; ok {
				put(&s.local, name, v)
			}
		}
	default:
		if err := s.CheckName(name); err != nil {
			return err
		}
		s.values, s.local = maps.Clone(s.values), maps.Clone(s.local)
		delete(s.values, name)
		delete(s.local, name)
	}
	s.Report()
	return nil
}

// roles say who the session is: no other SET changes them.
var roles = []string{"session_authorization", "role", "is_superuser"}

// Become sets those of roles that are given; a value of "" is the start's.
func (s *Values) Become(values map[string]string, local bool) {
	for _, name := range roles {
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
	s.Report()
}

// Unbecome has the session be who it was at the start.
func (s *Values) Unbecome() {
	s.Become(map[string]string{"session_authorization": "", "role": "", "is_superuser": ""}, false)
}

// Begin remembers the values; end drops local ones and, after a rollback, goes
// back to what was remembered.
func (s *Values) Begin() { s.saved = s.values }

func (s *Values) End(rollback bool) {
	if rollback {
		s.values = s.saved
	}
	s.local, s.saved = nil, nil
	s.Report()
}

// Within has settings have values until leave is called: those of a function.
func (s *Values) Within(names, values []string) (leave func(), err *syntax.Error) {
	was := s.local
	leave = func() {
		s.local = maps.Clone(s.local)
		for _, name := range names {
			if delete(s.local, name); was != nil {
				if v, ok := was[name]; ok {
					put(&s.local, name, v)
				}
			}
		}
		s.Report()
	}
	for i, name := range names {
		if err := s.Set(name, values[i], true); err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}

// Mark are the values at a savepoint. The maps are never changed.
type Mark struct{ values, local map[string]string }

func (s *Values) Mark() Mark { return Mark{s.values, s.local} }

func (s *Values) BackTo(m Mark) {
	s.values, s.local = m.values, m.local
	s.Report()
}

// Report follows a change: it tells the client of reported settings that are another.
func (s *Values) Report() {
	s.changes++
	for name, k := range s.known {
		if !k.reported {
			continue
		}
		v, _ := s.Get(name)
		if old, ok := s.told[name]; ok && old == v {
			continue
		}
		s.told[name] = v
		if s.notify != nil {
			s.notify(k.Name, v)
		}
	}
}

// Duration reads a setting that is a duration; 0: none.
func (s *Values) Duration(name string) time.Duration {
	v, _ := s.Get(name)
	d, _ := parseDuration(v)
	return d
}

var dateOrders = map[string]datum.DateOrder{"MDY": datum.OrderMDY, "DMY": datum.OrderDMY, "YMD": datum.OrderYMD} //nolint:gochecknoglobals // never changed

// Style is how the settings want values written. location is the last one, which
// stays if it is the zone still.
func (s *Values) Style(location *time.Location) datum.Style {
	zone, _ := s.Get("timezone")
	if location == nil || location.String() != zone {
		location = time.UTC
		if loc, err := datum.LoadZone(zone); err == nil && zone != "UTC" {
			location = loc
		}
	}
	bytea, _ := s.Get("bytea_output")
	interval, _ := s.Get("intervalstyle")
	dates, _ := s.Get("datestyle")
	out := datum.Style{Location: location, Order: dateOrders[strings.TrimPrefix(dates, "ISO, ")], ByteaEscape: bytea == "escape"}
	if interval != string(datum.IntervalPostgres) {
		out.Interval = datum.IntervalStyle(interval)
	}
	digits, _ := s.Get("extra_float_digits")
	if extra, err := strconv.Atoi(digits); err == nil && extra < 1 {
		const digitsOfDouble = 15
		out.FloatDigits = max(digitsOfDouble+extra, 1)
	}
	return out
}
