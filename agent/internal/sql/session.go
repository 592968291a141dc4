package sql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/settings"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// SessionOptions says who opens a session, and how.
type SessionOptions struct {
	User            string
	Database        string
	ApplicationName string
	Remote          string // the client's address
	Local           string // the node's, as the client knows it; "": no network is between them
	PID             uint32 // what the client knows the session by
	// Params are the startup packet's other parameters: settings.
	Params map[string]string
	// OnSettingChange is called when a setting that clients are told of changes
	// (ParameterStatus). It must not call back.
	OnSettingChange func(name, value string)
	// OnStyleChange is called when the way in which values are to be written changes,
	// and at the start. It must not call back.
	OnStyleChange func(datum.Style)
	// OnNotice is called with warnings and notices, whose Severity says which.
	OnNotice func(*Error)
	// OnNotification is called with what the session listens to, at any time and by any
	// goroutine. It must not block, nor call back; nil: there is nobody to tell.
	OnNotification func(Notification)
	// inside is set for what the node runs itself for a role that need not log in.
	inside bool
}

// Session is one client's session. It is used by one goroutine at a time.
type Session struct {
	server   *Server
	options  SessionOptions
	database cluster.ObjectID
	settings *settings.Values
	style    datum.Style
	seen     activity
	// user is the current role: that of SET ROLE, or who the session is authorized as.
	user string
	// definer owns the SECURITY DEFINER function that runs; "": none does.
	definer string
	held    *catalog.Rights // of user
	// due is the time that the body of a schedule runs for; "": the session runs none.
	due string
	// since is from when on statement_timeout counts; zero: from the beginning of each
	// statement.
	since time.Time
	// running is the statement that is carried out.
	running syntax.Node

	// implicit says that the statements that come now came together.
	implicit bool
	tx       *exec.Tx       // nil: outside of a transaction
	draft    *catalog.Draft // what the transaction has changed of the objects
	// deferring is what SET CONSTRAINTS has said in it.
	deferring *deferring
	// deferredFires are constraint triggers that wait for COMMIT.
	deferredFires []deferredFire
	// transitions are the tables that the trigger names that is being carried out.
	transitions map[string]*transition
	filling     bool            // a materialized view is given its rows
	memory      *budget.Account // of the transaction
	block       bool            // the transaction was begun by BEGIN
	entered     bool            // a statement of the transaction has had a place to run
	queried     bool            // a query of the transaction has begun
	told        bool            // the client has been told something of the last query
	// before is the time that a query reads at, which younger indexes are no good for; 0: it is
	// not known to be before any.
	before hlc.Timestamp
	// slowly has queries be planned for the slow path, where that can do them.
	slowly bool
	failed bool  // the transaction is
	modes  modes // of the transaction
	began  time.Time
	// advisories are the advisory locks of the session.
	advisories map[advisoryKey]*advisoryLock
	advised    []advised // those of the transaction, as it has taken them
	// group has whoever waits for a lock of the session wait for all that it waits for.
	group     txn.Group
	numbering numbering
	notifying notifying
	// savepoints of the transaction, oldest first.
	savepoints []savepoint

	// temp is the schema of the temporary objects, which may be gone, or not there yet; 0:
	// there were none. onCommit says that COMMIT does something to one.
	temp     atomic.Uint64
	onCommit bool
	// cursors are by name; declared counts all that there were.
	cursors  map[string]*cursor
	declared int

	// depth is how many triggers and functions are being carried out, each by the one before, and
	// triggers are those that were.
	depth    int
	fired    int // how many of these are triggers
	triggers map[cluster.ObjectID]*compiledTrigger
	// functions are those that were called, and steady counts the calls under way of those
	// that read what the statement reads that calls them.
	functions map[cluster.ObjectID]*sqlFunction
	steady    int
	// pure says that the function being carried out may not change anything, and guarding that
	// none may: the engine asks for it while it reads rows.
	pure, guarding bool
	// bodies are those of functions in PL/pgSQL that were called.
	bodies map[cluster.ObjectID]*body

	// named are the prepared statements that have a name, and namedCost about the memory of
	// those that PREPARE has made.
	named     map[string]namedStatement
	namedCost int64

	// plans keeps what simple queries with the same text can use again.
	plans     map[string]*Prepared
	plansCost int64
}

// Prepared is a statement that was checked and can be executed.
type Prepared struct {
	ParamOIDs []uint32
	// ParamTypes are the types of the parameters.
	ParamTypes []datum.Type
	// Columns describe the rows; nil if the statement returns none.
	Columns []Column
	Empty   bool
	// Binary says that the simple protocol, too, has the rows in the binary format.
	Binary bool

	statement *syntax.Statement
	announced []datum.Type
	plan      *queryplan.Plan
	feed      exec.Feed // of a COPY; nil: the statement has its rows
	// resolved is the statement that was planned, if fields of documents stand in it as
	// columns; nil: it is the one that was written.
	resolved *syntax.Query
	basis    basis
	// read is how its literals were read first, in the time zone readIn; settled is the query with them written so, once the
	// session reads otherwise: PostgreSQL reads them at Parse.
	read    datum.Reading
	readIn  string
	settled *syntax.Query
	// found are the names that planning has looked up, and searchPath where.
	found      []found
	searchPath []string
	// asked says that planning asked for settings.
	asked bool
	// named says that schemas that it names need not be any that the role may use.
	named bool
	// chosen, if not nil, is told which functions of users its calls mean.
	chosen func(*pg.FuncCall, *queryplan.Routine)
	// permitted is what its privileges were looked at on.
	permitted permission
}

// Column describes a column of a result, as RowDescription wants it.
type Column struct {
	Name     string
	OID      uint32
	Size     int16
	Modifier int32 // -1: none
	TableOID uint32
	Attr     int16 // attribute number in the table, from 1; 0: none
}

// RowSink takes the rows of one execution.
type RowSink interface {
	// Describe is called once, before the first row, if the statement returns rows.
	Describe(columns []Column) error
	// Row takes one row; the slice is used again afterwards. It may block. With
	// ErrRowsUnread it ends a portal that was closed half-way.
	Row(row []datum.Datum) error
}

// ClientWaiter is a RowSink that gives a statement's place back while it waits for its
// client.
type ClientWaiter interface{ WaitWith(p *admission.Place) }

// ErrRowsUnread is returned by a RowSink whose client wants no more rows. Execute
// ends with it (wrapped or not), and an open transaction goes on: nothing failed.
var ErrRowsUnread = errors.New("the rest of the rows is not wanted")

// newSession makes a session; startup applies its settings.
func newSession(server *Server, o SessionOptions) *Session {
	s := &Session{server: server, options: o, user: o.User}
	s.settings = settings.New(server.settings, o.User)
	if o.ApplicationName != "" {
		s.settings.Start("application_name", o.ApplicationName)
	}
	s.seen.start(server.cfg.Node, o, server.cfg.Now())
	return s
}

// defaultDatabase is that of clients that name none. Those send the name of their user.
const defaultDatabase = "nodedb"

// startup checks the database and applies the settings of the startup packet.
func (s *Session) startup(o SessionOptions) error {
	view := s.server.catalog.View()
	name := o.Database
	if _, there := view.Find(0, cluster.DatabaseNames, name); !there && (name == o.User || name == "") {
		name = defaultDatabase
	}
	db, ok := view.Find(0, cluster.DatabaseNames, name)
	if !ok {
		return &Error{Severity: "FATAL", Code: "3D000", Message: fmt.Sprintf("database %q does not exist", name),
			Hint: "Databases: " + strings.Join(databaseNames(view), ", ") + "."}
	}
	if err := s.mayLogIn(view, db); err != nil {
		return err
	}
	s.database, s.options.Database = db.ID, name
	s.seen.setDatabase(db.ID)
	s.beginWith(view, db)
	for name, value := range o.Params {
		name = strings.ToLower(name)
		if _, ok := s.server.settings[name]; !ok && !strings.Contains(name, ".") {
			return &Error{Severity: "FATAL", Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
		}
		value, err := s.settings.Check(name, value)
		if err != nil {
			fatal := AsError(err)
			fatal.Severity = "FATAL"
			return fatal
		}
		s.settings.Start(name, value)
	}
	s.settings.Notify(o.OnSettingChange) // the protocol layer tells all of them at the start
	s.followSettings()
	return nil
}

func databaseNames(view *metastate.View) []string {
	var names []string
	for _, o := range view.Objects {
		if o.Kind == cluster.KindDatabase {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	return names
}

// followSettings updates what is derived from settings.
func (s *Session) followSettings() {
	if style := s.settings.Style(s.style.Location); style != s.style {
		s.style = style
		if s.options.OnStyleChange != nil {
			s.options.OnStyleChange(style)
		}
	}
	s.followRole()
	application, _ := s.settings.Get("application_name")
	s.seen.setApplication(application)
}

// Parse splits the text of a simple query into statements; those without
// anything but comments are left out. Of several, none is run if one is none: they
// are all parsed first.
func (s *Session) Parse(text string) (_ []string, err error) {
	texts := syntax.Split(text)
	if len(texts) < 2 {
		return texts, nil
	}
	defer s.guard(text, &err)
	from := 0
	for _, one := range texts {
		at := from
		if i := strings.Index(text[from:], one); i >= 0 {
			at, from = from+i, from+i+len(one)
		}
		statement, err := s.server.parsed.Parse(one)
		if err == nil {
			err = carriedOut(statement.Node)
		}
		if err != nil {
			wrong := *AsError(err)
			if wrong.Position > 0 {
				wrong.Position += at
			}
			return nil, &wrong
		}
	}
	return texts, nil
}

// TxStatus is 'I' outside of a transaction, 'T' inside, 'E' inside a failed one.
func (s *Session) TxStatus() byte {
	switch {
	case s.tx == nil:
		return 'I'
	case s.failed:
		return 'E'
	default:
		return 'T'
	}
}

// IdleTimeout is how long the session may wait for its client now; 0: for ever.
func (s *Session) IdleTimeout() time.Duration {
	if s.tx != nil {
		return s.settings.Duration("idle_in_transaction_session_timeout")
	}
	return s.settings.Duration("idle_session_timeout")
}

// Reading is how the session reads texts, in its transaction if it is in one.
func (s *Session) Reading() *datum.Reading {
	now := s.began
	if s.tx == nil {
		now = s.server.cfg.Now()
	}
	return s.style.Reading(now)
}

// rest has others see that the session waits for its client.
func (s *Session) rest() { s.seen.rest(s.TxStatus(), s.server.cfg.Now(), s.began, s.modes.isolation) }

// FailTx makes the transaction, if there is one, a failed one: the protocol layer
// found an error. Without a savepoint to go back to nothing of it can be of use any more:
// others need not wait for it until its client notices.
func (s *Session) FailTx() {
	if s.tx == nil {
		return
	}
	s.failed = true
	if len(s.savepoints) == 0 {
		s.tx.Close()
		s.unlockAdvisory(true)
	}
	s.rest()
}

// Setting returns a setting's value, "" if there is none called so.
func (s *Session) Setting(name string) string {
	v, _ := s.setting(strings.ToLower(name))
	return v
}

// setting adds the settings that depend on the transaction.
func (s *Session) setting(name string) (string, bool) {
	switch m := s.current(); name {
	case "transaction_isolation":
		return m.isolation, true
	case "transaction_read_only":
		return onOff(&m.readOnly), true
	case "transaction_deferrable":
		return onOff(&m.deferrable), true
	case settingDue:
		if s.due != "" {
			return s.due, true
		}
	}
	return s.settings.Get(name)
}

// Close rolls back and ends the session.
func (s *Session) Close() {
	s.closeCursors(func(*cursor) bool { return true })
	s.closeTx()
	s.unlockAdvisory(true)
	s.unlockAdvisory(false)
	s.unlisten()
	s.server.forget(s)
}

// notice sends a notice to the client.
func (s *Session) notice(severity, code, format string, args ...any) {
	s.tell(&Error{Severity: severity, Code: code, Message: fmt.Sprintf(format, args...)})
}

// tell gives the client a notice.
func (s *Session) tell(e *Error) {
	if s.options.OnNotice != nil {
		s.options.OnNotice(e)
	}
}
