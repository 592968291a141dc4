package settings

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// Setting is a session setting: its default and what may be set.
type Setting struct {
	Name  string // as SHOW ALL spells it
	Value string // default
	// check normalises a new value; nil: the setting cannot be changed.
	check func(value string) (string, bool)
	// refuse says more of a value that check did not take; nil: nothing.
	refuse func(value string) *syntax.Error
	// values are what may be set, if it is a list.
	values []string
	// reported settings are told to the client when they change.
	reported bool
	About    string
}

// Fixed reports whether SET cannot change it.
func (s *Setting) Fixed() bool { return s.check == nil }

// list are the settings that this version knows. Some only exist
// because drivers set them; they accept what changes nothing.
func list() []Setting {
	flag := func(name, value, about string) Setting {
		return Setting{Name: name, Value: value, check: checkBool, About: about}
	}
	fixed := func(name, value string) Setting {
		return Setting{Name: name, Value: value, About: "cannot be changed"}
	}
	choice := func(name, about string, values ...string) Setting {
		return Setting{Name: name, Value: values[0], check: oneOf(values...), values: values, About: about}
	}
	only := func(name, value string) Setting { return choice(name, "has this value only", value) }
	accepted := func(name, value string) Setting {
		return Setting{Name: name, Value: value, check: anyText, About: "accepted, changes nothing"}
	}
	reported := func(s Setting) Setting {
		s.reported = true
		return s
	}
	return []Setting{
		reported(Setting{Name: "application_name", check: anyText, About: "what the client calls itself"}),
		fixed("block_size", "8192"),
		choice("bytea_output", "how bytea is written", "hex", "escape"),
		flag("check_function_bodies", "on", "accepted, changes nothing"),
		reported(Setting{Name: "client_encoding", Value: "UTF8", check: checkEncoding, refuse: refuseEncoding, About: "UTF8 is the only encoding"}),
		choice("client_min_messages", "notices below are not sent", "notice", "debug5", "debug4", "debug3", "debug2", "debug1", "log", "warning", "error"),
		reported(Setting{Name: "DateStyle", Value: "ISO, MDY", check: checkDateStyle, refuse: refuseDateStyle, About: "ISO is the only style of output; MDY, DMY or YMD is the order of dates that are read"}),
		Setting{Name: "deadlock_timeout", Value: "1s", check: checkDeadlockTimeout, About: "for how long a transaction waits for a lock before it looks for a deadlock"},
		accepted("default_table_access_method", "heap"),
		accepted("default_tablespace", ""),
		flag("default_transaction_deferrable", "off", "accepted, changes nothing"),
		Setting{Name: "default_transaction_isolation", Value: ReadCommitted, check: checkIsolation, About: "isolation of new transactions"},
		reported(flag("default_transaction_read_only", "off", "new transactions only read")),
		Setting{Name: "extra_float_digits", Value: "1", check: checkRange(-15, 3), About: "from 1 on floats are written exactly, below with 15 digits and fewer"},
		Setting{Name: "idle_session_timeout", Value: "0", check: checkDuration, About: "ends a session that idles longer outside of a transaction; 0: never"},
		Setting{Name: "idle_in_transaction_session_timeout", Value: "0", check: checkDuration, About: "ends a session that idles longer inside of a transaction; 0: never"},
		reported(fixed("in_hot_standby", "off")),
		reported(fixed("integer_datetimes", "on")),
		reported(choice("IntervalStyle", "how intervals are written", string(datum.IntervalPostgres), string(datum.IntervalVerbose), string(datum.IntervalSQL), string(datum.IntervalISO))),
		reported(fixed("is_superuser", "off")),
		flag("jit", "off", "accepted, changes nothing"),
		Setting{Name: "lock_timeout", Value: "0", check: checkDuration, About: "ends a statement that waits longer for a lock; 0: never"},
		fixed("lc_collate", "C"), fixed("lc_ctype", "C.UTF-8"),
		accepted("lc_messages", "C"),
		accepted("lc_monetary", "C"),
		accepted("lc_numeric", "C"),
		accepted("lc_time", "C"),
		accepted("maintenance_work_mem", "64MB"),
		fixed("max_connections", "1000"),
		fixed("max_identifier_length", "63"),
		fixed("max_index_keys", "32"),
		Setting{Name: readConsistency, Value: strong, check: checkConsistency, refuse: refuseConsistency, About: "how new what statements read has to be: strong, bounded_staleness:SECONDS or eventual"},
		flag(fastPath, "on", "off: what the engine can run, too, is run by it, which takes longer; for comparing the two"),
		flag("quote_all_identifiers", "off", "accepted, changes nothing"),
		flag("row_security", "on", "accepted, changes nothing"),
		Setting{Name: "search_path", Value: `"$user", public`, check: checkPath, About: "schemas that names without one are looked for in"},
		reported(fixed("server_encoding", "UTF8")),
		reported(fixed("server_version", ServerVersion)),
		fixed("server_version_num", "150018"),
		reported(fixed("session_authorization", "")),
		fixed("role", "none"),
		only("session_replication_role", "origin"),
		reported(only("standard_conforming_strings", "on")),
		Setting{Name: "statement_timeout", Value: "0", check: checkDuration, About: "ends longer statements; 0: never"},
		choice("synchronous_commit", "accepted; commits are always synced on a quorum", "on", "local", "remote_write", "remote_apply", "off"),
		flag("synchronize_seqscans", "on", "accepted, changes nothing"),
		reported(Setting{Name: "TimeZone", Value: "UTC", check: checkTimeZone, refuse: refuseTimeZone, About: "zone of timestamps with time zone"}),
		fixed("wal_level", "replica"),
		accepted("work_mem", "4MB"),
		choice("log_statement", "accepted, changes nothing: see the audit log", "none", "ddl", "mod", "all"),
		choice("xmloption", "accepted, changes nothing", "content", "document"),
	}
}

// ofTransaction are those of the transaction at hand.
var ofTransaction = []Setting{
	{Name: "transaction_deferrable", Value: "off", About: "accepted, changes nothing"},
	{Name: "transaction_isolation", Value: ReadCommitted, About: "isolation of this transaction"},
	{Name: "transaction_read_only", Value: "off", About: "this transaction only reads"},
}

// fastPath says whether statements about few rows are run without the engine.
const fastPath = "nodedb.fast_path"

// FastPath is nodedb.fast_path.
func (s *Values) FastPath() bool {
	v, _ := s.Get(fastPath)
	return v == "on"
}

// ServerVersion is the version of PostgreSQL that clients are told.
const ServerVersion = "15.18"

// The isolation levels by their names.
const (
	ReadCommitted  = "read committed"
	RepeatableRead = "repeatable read"
	Serializable   = "serializable"
)

// Isolation is the isolation level that is called so. PostgreSQL, too, runs no read
// uncommitted.
func Isolation(name string) (level txn.Isolation, ok bool) {
	switch name {
	case "read uncommitted", ReadCommitted:
		return txn.ReadCommitted, true
	case RepeatableRead:
		return txn.RepeatableRead, true
	case Serializable:
		return txn.Serializable, true
	}
	return 0, false
}

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

// encodingName drops what PostgreSQL does not look at in the name of an encoding.
func encodingName(v string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(v))
}

func checkEncoding(v string) (string, bool) {
	switch encodingName(v) {
	case "utf8", "unicode":
		return "UTF8", true
	case "sqlascii": // says that nothing is converted, and nothing is
		return "SQL_ASCII", true
	}
	return "", false
}

// refuseEncoding tells an encoding that PostgreSQL converts from a name of none.
func refuseEncoding(v string) *syntax.Error {
	const known = " latin1 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 latin10 iso88591 iso88592 iso88595 iso88596 iso88597 iso88598 iso885915" +
		" win win866 win874 win1250 win1251 win1252 win1253 win1254 win1255 win1256 win1257 win1258 windows1250 windows1251 windows1252 koi8 koi8r koi8u" +
		" eucjp euccn euckr euctw eucjis2004 sjis shiftjis shiftjis2004 big5 gbk gb18030 uhc johab "
	if name := encodingName(v); name == "" || !strings.Contains(known, " "+name+" ") {
		return nil
	}
	return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("conversion from %q to UTF8 is not supported", v), Hint: "Set client_encoding to UTF8, the only encoding."}
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

// refuseDateStyle tells PostgreSQL's other styles from what is none.
func refuseDateStyle(v string) *syntax.Error {
	other := false
	for part := range strings.SplitSeq(v, ",") {
		switch part = strings.ToUpper(strings.TrimSpace(part)); part {
		case "SQL", "POSTGRES", "GERMAN":
			other = true
		default:
			if _, ok := checkDateStyle(part); !ok {
				return nil
			}
		}
	}
	if !other {
		return nil
	}
	return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("the DateStyle %q is not supported", v), Hint: "Dates are written in the style ISO; to_char writes others. The order of dates that are read is MDY, DMY or YMD."}
}

// checkDeadlockTimeout wants some time: who looks at once looks for nothing.
func checkDeadlockTimeout(v string) (string, bool) {
	out, ok := checkDuration(v)
	return out, ok && out != "0"
}

func checkIsolation(v string) (string, bool) {
	v = strings.ToLower(v)
	_, ok := Isolation(v)
	return v, ok
}

// checkTimeZone accepts a name, POSIX's form of an offset, a number of hours east of
// UTC, or INTERVAL 'offset'.
func checkTimeZone(v string) (string, bool) {
	if seconds, ok := zoneInterval(v); ok {
		return datum.OffsetZone(seconds)
	}
	if hours, err := strconv.ParseFloat(v, 64); err == nil {
		if math.IsNaN(hours) || math.Abs(hours) > 24 {
			return "", false
		}
		return datum.OffsetZone(int(math.Round(hours*60)) * 60)
	}
	loc, err := datum.LoadZone(v)
	if err != nil {
		return "", false
	}
	return loc.String(), true
}

// zoneInterval reads INTERVAL 'hours and minutes'.
func zoneInterval(v string) (seconds int, ok bool) {
	const word = "interval"
	v = strings.TrimSpace(v)
	if len(v) <= len(word) || !strings.EqualFold(v[:len(word)], word) {
		return 0, false
	}
	d, err := datum.ParseText(datum.Interval, strings.Trim(v[len(word):], " '"), nil)
	if err != nil || d.Months != 0 || d.Days != 0 {
		return 0, false
	}
	return int(time.Duration(d.I) * time.Microsecond / time.Second), true
}

func refuseTimeZone(v string) *syntax.Error {
	return &syntax.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter \"TimeZone\": %q", v),
		Hint: "Name a zone, such as Europe/Berlin, or an offset of less than a day in hours and minutes, such as INTERVAL '+05:30' HOUR TO MINUTE. Rules for daylight saving time are not read."}
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

// Table are the settings that are known, by their names in lower case.
type Table map[string]*Setting

// NewTable returns the settings that this version knows.
func NewTable() Table {
	out := Table{}
	for _, s := range append(list(), ofTransaction...) {
		out[strings.ToLower(s.Name)] = &s
	}
	return out
}

// All lists the settings by name.
func (t Table) All() []*Setting {
	return slices.SortedFunc(maps.Values(t), func(a, b *Setting) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
}
