package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// fakeSQL makes sessions that understand a few words, to drive the protocol:
//
//	rows N          N rows of (int4, text)
//	echo TYPE,...   its parameters, as one row
//	echo            its parameters, with the types that the client announced
//	declare "NAME"  has FETCH and CLOSE find a cursor, of 3 rows
//	begin, commit, rollback, insert, fail, sleep, panic, set NAME VALUE
type fakeSQL struct {
	draining atomic.Bool
	tame     bool // nothing that takes long, and no panic
	rowsSent atomic.Int64
	copied   atomic.Int64 // bytes of the COPY that runs
	// committed counts the implicit transactions.
	committed atomic.Int64
	queue     *admission.Queue // in which "rows" has a place; nil: none
	sleeping  chan struct{}    // told when a sleep has begun
	mu        struct {
		sync.Mutex
		opened []sql.SessionOptions
		closed int
	}
}

func newFakeSQL() *fakeSQL { return &fakeSQL{sleeping: make(chan struct{}, 16)} }

func (f *fakeSQL) open(_ context.Context, o sql.SessionOptions) (Session, error) {
	if f.draining.Load() {
		return nil, &sql.Error{Code: "57P03", Message: "the node is draining"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.opened = append(f.mu.opened, o)
	return &fakeSession{sql: f, tx: 'I', options: o, settings: map[string]string{"application_name": o.ApplicationName}}, nil
}

func (f *fakeSQL) closed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.closed
}

type fakeSession struct {
	sql      *fakeSQL
	tx       byte
	implicit bool
	block    bool
	busy     bool
	options  sql.SessionOptions
	settings map[string]string
	style    datum.Style
	closed   bool
	words    map[*sql.Prepared][]string
	cursor   string // by declare, in quotes; "": none
	named    map[string]*sql.Prepared
}

func (s *fakeSession) Reading() *datum.Reading { return s.style.Reading(time.Time{}) }

func (s *fakeSession) Name(name string, p *sql.Prepared) error {
	if s.named == nil {
		s.named = map[string]*sql.Prepared{}
	}
	s.named[name] = p
	return nil
}

func (s *fakeSession) Named(name string) (*sql.Prepared, bool) {
	p, ok := s.named[name]
	return p, ok
}

func (s *fakeSession) Redescribed(p *sql.Prepared) *sql.Prepared { return p }

func (s *fakeSession) Unname(name string) { delete(s.named, name) }

func (s *fakeSession) Parse(text string) ([]string, error) {
	var out []string
	for one := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(one) != "" {
			out = append(out, one)
		}
	}
	return out, nil
}

func column(name string, t datum.Type) sql.Column {
	return sql.Column{Name: name, OID: t.OID(), Size: t.Size(), Modifier: -1}
}

func (s *fakeSession) Prepare(_ context.Context, text string, oids []uint32) (*sql.Prepared, error) {
	words := strings.Fields(strings.TrimPrefix(text, "-- ping"))
	p := &sql.Prepared{ParamOIDs: []uint32{}}
	if s.words == nil {
		s.words = map[*sql.Prepared][]string{}
	}
	s.words[p] = words
	if len(words) == 0 {
		p.Empty = true
		return p, nil
	}
	switch words[0] {
	case "FETCH", "CLOSE":
		if s.cursor == "" || words[len(words)-1] != s.cursor {
			return nil, &sql.Error{Code: "34000", Message: "cursor does not exist"}
		}
		if words[0] == "FETCH" {
			p.Columns = []sql.Column{column("i", datum.Int4), column("s", datum.Text)}
		}
	case "declare":
	case "rows":
		p.Columns = []sql.Column{column("i", datum.Int4), column("s", datum.Text)}
	case "sleep":
		p.Columns = []sql.Column{}
	case "echo":
		if len(words) > 1 {
			for name := range strings.SplitSeq(words[1], ",") {
				t, ok := datum.TypeByName(name)
				if !ok {
					return nil, &sql.Error{Code: "42704", Message: "no type " + name, Position: 6}
				}
				oids = append(oids, t.OID())
			}
		}
		p.ParamOIDs = slices.Clone(oids)
		for i, oid := range oids {
			t, _ := datum.TypeByOID(oid)
			p.ParamTypes = append(p.ParamTypes, t)
			p.Columns = append(p.Columns, column("c"+strconv.Itoa(i), t))
		}
	case "begin", "commit", "rollback", "insert", "fail", "panic", "set", "DEALLOCATE", "copyin", "copyout", "notify":
	case "copy":
		return nil, &sql.Error{Code: "0A000", Message: "COPY is not supported", Hint: "Use INSERT."}
	default:
		return nil, &sql.Error{Code: "42601", Message: "syntax error", Position: strings.Index(text, words[0]) + 1}
	}
	return p, nil
}

func (s *fakeSession) Execute(ctx context.Context, p *sql.Prepared, args []datum.Datum, sink sql.RowSink) (tag string, err error) {
	if s.busy {
		panic("session is used by two statements at once")
	}
	s.busy = true
	defer func() { s.busy = false }()
	defer func() {
		if err != nil && !errors.Is(err, sql.ErrRowsUnread) {
			s.FailTx()
		}
	}()
	words := s.words[p]
	if s.sql.tame && (words[0] == "panic" || words[0] == "sleep") {
		words = []string{"insert"}
	}
	if s.tx == 'E' && words[0] != "rollback" && words[0] != "commit" {
		return "", &sql.Error{Code: "25P02", Message: "current transaction is aborted"}
	}
	if s.implicit && s.tx == 'I' && words[0] != "begin" && words[0] != "commit" && words[0] != "rollback" {
		s.tx = 'T'
	}
	switch words[0] {
	case "declare":
		s.cursor = words[1]
	case "CLOSE":
		s.cursor = ""
	case "FETCH":
		count := words[1]
		if count == "ALL" {
			count = "3"
		}
		tag, err := s.rows(count, p, sink)
		return strings.Replace(tag, "SELECT", "FETCH", 1), err
	case "begin":
		s.tx, s.block = 'T', true
	case "commit", "rollback":
		s.tx, s.block = 'I', false
	case "insert":
		return "INSERT 0 1", nil
	case "notify":
		s.options.OnNotification(sql.Notification{Channel: words[1], Payload: "p", PID: 9})
	case "copyin":
		return s.sql.copyIn(ctx, sink.(sql.CopyClient))
	case "copyout":
		client := sink.(sql.CopyClient)
		if err := errors.Join(client.CopyOut(false, 2), client.CopyData([]byte("a\tb\n")), client.CopyDone()); err != nil {
			return "", err
		}
		return "COPY 1", nil
	case "set":
		if len(words) != 3 {
			return "", &sql.Error{Code: "42601", Message: "set NAME VALUE"}
		}
		s.settings[words[1]] = words[2]
		s.options.OnSettingChange(words[1], words[2])
		if zone, err := datum.LoadZone(words[2]); err == nil {
			s.style = datum.Style{Location: zone}
			s.options.OnStyleChange(s.style)
		}
		s.options.OnNotice(&sql.Error{Code: "01000", Message: "changed"})
		return "SET", nil
	case "DEALLOCATE":
		s.named = nil
		return "DEALLOCATE ALL", nil
	case "fail":
		return "", &sql.Error{Code: "22012", Message: "division by zero", Detail: "d", Hint: "h", Table: "t", Column: "c", Constraint: "k", Position: 3}
	case "panic":
		panic("planted")
	case "sleep":
		s.sql.sleeping <- struct{}{}
		<-ctx.Done()
		return "", fmt.Errorf("sleep: %w", ctx.Err())
	case "echo":
		if err := sink.Describe(p.Columns); err != nil {
			return "", err
		}
		return "SELECT 1", sink.Row(args)
	case "rows":
		place, err := s.sql.queue.Take(ctx, false)
		if err != nil {
			return "", err
		}
		defer place.End()
		sink.(sql.ClientWaiter).WaitWith(place)
		return s.rows(strings.Join(words[1:], ""), p, sink)
	}
	return strings.ToUpper(words[0]), nil
}

func (s *fakeSession) rows(count string, p *sql.Prepared, sink sql.RowSink) (string, error) {
	n, err := strconv.Atoi(count)
	if err != nil || s.sql.tame && n > 1000 {
		return "", &sql.Error{Code: "22P02", Message: "not a number"}
	}
	if err := sink.Describe(p.Columns); err != nil {
		return "", err
	}
	row := make([]datum.Datum, 2)
	for i := range n {
		row[0] = datum.MakeInt(datum.Int4, int64(i))
		row[1] = datum.MakeText("row " + strconv.Itoa(i))
		if err := sink.Row(row); err != nil {
			return "", fmt.Errorf("row %d: %w", i, err)
		}
		s.sql.rowsSent.Add(1)
	}
	return "SELECT " + strconv.Itoa(n), nil
}

func (s *fakeSession) TxStatus() byte { return s.tx }

func (s *fakeSession) StatementTimeout() time.Duration {
	d, _ := time.ParseDuration(s.settings["timeout"])
	return d
}

func (s *fakeSession) CountFrom(time.Time) {}

func (s *fakeSession) IdleTimeout() time.Duration {
	d, _ := time.ParseDuration(s.settings["idle"])
	return d
}

func (s *fakeSession) BeginImplicit() { s.implicit = true }

// EndImplicit fails with the code that the setting commits has.
func (s *fakeSession) EndImplicit(context.Context) error {
	s.implicit = false
	if s.block || s.tx == 'I' {
		return nil
	}
	failed := s.tx == 'E'
	s.tx = 'I'
	if failed {
		return nil
	}
	if code := s.settings["commits"]; code != "" {
		return &sql.Error{Code: code, Message: "could not commit"}
	}
	s.sql.committed.Add(1)
	return nil
}

func (s *fakeSession) FailTx() {
	if s.tx == 'T' {
		s.tx = 'E'
	}
}

func (s *fakeSession) Setting(name string) string { return s.settings[name] }

func (s *fakeSession) Close() {
	s.sql.mu.Lock()
	defer s.sql.mu.Unlock()
	if s.closed {
		panic("session closed twice")
	}
	s.closed = true
	s.sql.mu.closed++
}

// copyIn counts the bytes that the client sends.
func (f *fakeSQL) copyIn(ctx context.Context, client sql.CopyClient) (string, error) {
	if err := client.CopyIn(ctx, true, 2); err != nil {
		return "", err
	}
	defer client.CopyEnd()
	f.copied.Store(0)
	n := 0
	for {
		piece, err := client.CopyNext(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return "COPY " + strconv.Itoa(n), nil
		case err != nil:
			return "", err
		case string(piece) == "bad":
			return "", &sql.Error{Code: "22P02", Message: "bad"}
		}
		n += len(piece)
		f.copied.Store(int64(n))
	}
}
