package sql

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// setting is a session setting: its default and what may be set.
type setting struct {
	name  string // as SHOW ALL spells it
	value string // default
	// check normalises a new value; nil: the setting cannot be changed.
	check func(value string) (string, bool)
	// reported settings are told to the client when they change.
	reported bool
	about    string
}

// settingTable lists the settings that this version knows. Some only exist
// because drivers set them; they accept what changes nothing.
func settingTable() []setting {
	flag := func(name, value, about string) setting {
		return setting{name: name, value: value, check: checkBool, about: about}
	}
	fixed := func(name, value string) setting {
		return setting{name: name, value: value, about: "cannot be changed"}
	}
	only := func(name, value string) setting {
		return setting{name: name, value: value, check: oneOf(value), about: "has this value only"}
	}
	reported := func(s setting) setting {
		s.reported = true
		return s
	}
	return []setting{
		reported(setting{name: "application_name", check: anyText, about: "what the client calls itself"}),
		only("bytea_output", "hex"),
		reported(setting{name: "client_encoding", value: "UTF8", check: checkEncoding, about: "UTF8 is the only encoding"}),
		setting{name: "client_min_messages", value: "notice", check: oneOf("debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"), about: "notices below are not sent"},
		reported(setting{name: "DateStyle", value: "ISO, MDY", check: checkDateStyle, about: "ISO is the only style"}),
		setting{name: "default_transaction_isolation", value: repeatableRead, check: checkIsolation, about: "isolation of new transactions"},
		reported(flag("default_transaction_read_only", "off", "new transactions only read")),
		setting{name: "extra_float_digits", value: "1", check: checkRange(-15, 3), about: "floats are always shown exactly"},
		setting{name: "idle_in_transaction_session_timeout", value: "0", check: checkDuration, about: "ends a transaction that idles longer, at its next statement"},
		reported(fixed("in_hot_standby", "off")),
		reported(fixed("integer_datetimes", "on")),
		reported(only("IntervalStyle", "postgres")),
		reported(fixed("is_superuser", "off")),
		flag("jit", "off", "accepted, changes nothing"),
		setting{name: "lock_timeout", value: "0", check: checkDuration, about: "accepted; no statement waits for locks"},
		fixed("max_identifier_length", "63"),
		setting{name: "nodedb.read_consistency", value: "strong", check: oneOf("strong"), about: "reads see everything acknowledged before"},
		flag("row_security", "on", "accepted, changes nothing"),
		setting{name: "search_path", value: "public", check: anyText, about: "all collections are in public"},
		reported(fixed("server_encoding", "UTF8")),
		reported(fixed("server_version", serverVersion)),
		fixed("server_version_num", "170000"),
		reported(fixed("session_authorization", "")),
		reported(only("standard_conforming_strings", "on")),
		setting{name: "statement_timeout", value: "0", check: checkDuration, about: "ends longer statements; 0: never"},
		setting{name: "synchronous_commit", value: "on", check: oneOf("on", "local", "remote_write", "remote_apply", "off"), about: "accepted; commits are always synced on a quorum"},
		reported(setting{name: "TimeZone", value: "UTC", check: checkTimeZone, about: "zone of timestamps with time zone"}),
		setting{name: "transaction_isolation", value: repeatableRead, about: "isolation of this transaction"},
		setting{name: "transaction_read_only", value: "off", about: "this transaction only reads"},
	}
}

const (
	serverVersion  = "17.0"
	repeatableRead = "repeatable read"
)

func anyText(v string) (string, bool) { return v, true }

func oneOf(values ...string) func(string) (string, bool) {
	return func(v string) (string, bool) {
		i := slices.IndexFunc(values, func(w string) bool { return strings.EqualFold(v, w) })
		if i < 0 {
			return "", false
		}
		return values[i], true
	}
}

func checkBool(v string) (string, bool) {
	d, err := datum.ParseText(datum.Bool, v, nil)
	if err != nil {
		return "", false
	}
	if d.Bool() {
		return "on", true
	}
	return "off", true
}

func checkRange(lo, hi int) func(string) (string, bool) {
	return func(v string) (string, bool) {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		return strconv.Itoa(n), err == nil && n >= lo && n <= hi
	}
}

func checkEncoding(v string) (string, bool) {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(v)) {
	case "utf8", "unicode":
		return "UTF8", true
	}
	return "", false
}

func checkDateStyle(v string) (string, bool) {
	order := "MDY"
	for part := range strings.SplitSeq(v, ",") {
		switch strings.ToUpper(strings.TrimSpace(part)) {
		case "ISO":
		case "MDY", "US", "NONEURO", "NONEUROPEAN":
			order = "MDY"
		case "DMY", "EURO", "EUROPEAN":
			order = "DMY"
		case "YMD":
			order = "YMD"
		default:
			return "", false
		}
	}
	return "ISO, " + order, true
}

// checkIsolation accepts the weaker levels, as PostgreSQL may: all transactions
// run with snapshot isolation, which it calls repeatable read.
func checkIsolation(v string) (string, bool) {
	switch strings.ToLower(v) {
	case "read uncommitted", "read committed", repeatableRead:
		return repeatableRead, true
	}
	return "", false
}

func checkTimeZone(v string) (string, bool) {
	if strings.EqualFold(v, "default") || strings.EqualFold(v, "local") {
		return "UTC", true
	}
	if hours, err := strconv.ParseFloat(strings.TrimPrefix(v, "+"), 64); err == nil && hours == float64(int(hours)) && hours > -13 && hours < 15 {
		if hours == 0 {
			return "UTC", true
		}
		return fmt.Sprintf("Etc/GMT%+d", -int(hours)), true // POSIX counts westward
	}
	if strings.EqualFold(v, "utc") || strings.EqualFold(v, "gmt") || strings.EqualFold(v, "zulu") {
		return "UTC", true
	}
	loc, err := datum.LoadZone(v)
	if err != nil {
		return "", false
	}
	return loc.String(), true
}

// checkDuration accepts 100 (milliseconds), 100ms, 5s, 1min, 1h, 1d.
func checkDuration(v string) (string, bool) {
	d, ok := parseDuration(v)
	if !ok || d < 0 {
		return "", false
	}
	switch {
	case d == 0:
		return "0", true
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h", true
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "min", true
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s", true
	default:
		return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms", true
	}
}

func parseDuration(v string) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	n := strings.TrimRight(v, "abcdefghijklmnopqrstuvwxyz ")
	f, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
	if err != nil {
		return 0, false
	}
	units := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
		"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	unit, ok := units[strings.TrimSpace(v[len(n):])]
	d := f * float64(unit)
	const most = float64(1<<31-1) * float64(time.Millisecond)
	return time.Duration(d).Round(time.Millisecond), ok && d <= most && d >= -most
}

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
	told   map[string]string
	notify func(name, value string)
}

func knownSettings() map[string]*setting {
	out := map[string]*setting{}
	for _, s := range settingTable() {
		out[strings.ToLower(s.name)] = &s
	}
	return out
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

// check normalises a value for the setting called name.
func (s *settings) check(name, value string) (string, *Error) {
	k, ok := s.known[name]
	switch {
	case !ok && strings.Contains(name, ".") && !strings.HasPrefix(name, "nodedb."):
		return value, nil // an application's own
	case !ok:
		return "", &Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
	case k.check == nil:
		return "", &Error{Code: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", k.name)}
	}
	out, ok := k.check(value)
	if !ok {
		return "", &Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", k.name, value), Hint: k.about + "."}
	}
	return out, nil
}

// set sets a value; local ends with the transaction.
func (s *settings) set(name, value string, local bool) *Error {
	value, err := s.check(name, value)
	if err != nil {
		return err
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
		s.values, s.local = nil, nil
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

// report tells the client of reported settings that changed.
func (s *settings) report() {
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
