package sql

import (
	"context"
	"errors"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// SessionOptions says who opens a session, and how.
type SessionOptions struct {
	User            string
	Database        string
	ApplicationName string
	Remote          string // the client's address
	PID             uint32 // what the client knows the session by
	// Params are the startup packet's other parameters: settings.
	Params map[string]string
	// OnSettingChange is called when a setting that clients are told of changes
	// (ParameterStatus). It must not call back.
	OnSettingChange func(name, value string)
	// OnNotice is called with warnings and notices, whose Severity says which.
	OnNotice func(*Error)
}

// Session is one client's session. It is used by one goroutine at a time.
type Session struct {
	server *Server
}

// Prepared is a statement that was checked and can be executed.
type Prepared struct {
	ParamOIDs []uint32
	// Columns describe the rows; nil if the statement returns none.
	Columns []Column
	Empty   bool
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

// ErrRowsUnread is returned by a RowSink whose client wants no more rows. Execute
// ends with it (wrapped or not), and an open transaction goes on: nothing failed.
var ErrRowsUnread = errors.New("the rest of the rows is not wanted")

// Parse splits the text of a simple query into statements; those without
// anything but comments are left out.
func (s *Session) Parse(text string) ([]string, error) { return nil, nil }

// Prepare checks one statement. paramOIDs are the types that the client
// announces; 0 or a missing one is inferred.
func (s *Session) Prepare(ctx context.Context, text string, paramOIDs []uint32) (*Prepared, error) {
	return nil, nil
}

// Execute runs p and returns its command tag.
func (s *Session) Execute(ctx context.Context, p *Prepared, args []datum.Datum, sink RowSink) (tag string, err error) {
	return "", nil
}

// TxStatus is 'I' outside of a transaction, 'T' inside, 'E' inside a failed one.
func (s *Session) TxStatus() byte { return 'I' }

// FailTx makes the transaction, if there is one, a failed one: the protocol layer
// found an error.
func (s *Session) FailTx() {}

// Setting returns a setting's value, "" if there is none called so.
func (s *Session) Setting(name string) string { return "" }

// Close rolls back and ends the session.
func (s *Session) Close() {}
