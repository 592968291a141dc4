package pgwire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

const (
	severityError  = "ERROR"
	severityFatal  = "FATAL"
	severityNotice = "NOTICE"
)

// fatal makes an error that ends the connection.
func fatal(code, message string) *sql.Error {
	return &sql.Error{Severity: severityFatal, Code: code, Message: message}
}

// protocolError is the client's mistake; the connection goes on.
func protocolError(format string, args ...any) *sql.Error {
	return &sql.Error{Code: "08P01", Message: fmt.Sprintf(format, args...)}
}

func tooManyConnections() *sql.Error {
	e := fatal("53300", "sorry, too many clients already")
	e.Hint = "Connect to another node, or raise the limit of connections."
	return e
}

func onlyAdmins() *sql.Error {
	e := fatal("53300", "remaining connection slots are reserved for users with the role nodedb_admin")
	e.Hint = "Connect to another node, or end sessions that are not needed."
	return e
}

func tooManyOfUser(user string, most int) *sql.Error {
	e := fatal("53300", fmt.Sprintf("too many connections for role %q", user))
	e.Detail = fmt.Sprintf("The user may have %d sessions on this node.", most)
	e.Hint = "An admin may raise it: ALTER USER ... CONNECTION LIMIT n."
	return e
}

func stopping() *sql.Error {
	return fatal("57P01", "terminating connection because the node is stopping")
}

func canceledByUser() *sql.Error {
	return &sql.Error{Code: "57014", Message: "canceling statement due to user request"}
}

func clientGone() *sql.Error {
	return fatal("08006", "the client has closed the connection")
}

// statementError makes the client's error of what a statement returned. A
// cancelled statement says who cancelled it.
func statementError(ctx context.Context, err error) *sql.Error {
	e := sql.AsError(err)
	if e.Code != "57014" {
		return e
	}
	var cause *sql.Error
	if errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return e
}

// errorResponse is the message that carries e.
func errorResponse(e *sql.Error) *pgproto3.ErrorResponse {
	severity := e.Severity
	if severity == "" {
		severity = severityError
	}
	return &pgproto3.ErrorResponse{
		Severity:            severity,
		SeverityUnlocalized: severity,
		Code:                e.Code,
		Message:             clean(e.Message),
		Detail:              clean(e.Detail),
		Hint:                clean(e.Hint),
		Position:            int32(e.Position),
		Where:               clean(e.Context),
		SchemaName:          clean(e.Schema),
		TableName:           clean(e.Table),
		ColumnName:          clean(e.Column),
		DataTypeName:        clean(e.DataType),
		ConstraintName:      clean(e.Constraint),
		Routine:             routine(e),
	}
}

// routine is the function of PostgreSQL's that reports such an error, where drivers know it by
// that: JDBC, ActiveRecord, asyncpg and postgres.js prepare a statement anew after the first two.
func routine(e *sql.Error) string {
	switch {
	case e.Code == "0A000" && e.Message == sql.PlanChanged:
		return "RevalidateCachedQuery"
	case e.Code == "26000":
		return "FetchPreparedStatement"
	case e.Code == "28P01":
		return "auth_failed"
	}
	return ""
}

// notice sends a warning or a notice with the answer of the statement.
func (c *conn) notice(e *sql.Error) {
	n := pgproto3.NoticeResponse(*errorResponse(e))
	if e.Severity == "" {
		n.Severity, n.SeverityUnlocalized = severityNotice, severityNotice
	}
	c.out.send(&n)
}

// clean keeps text from ending its field early.
func clean(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// refuse answers a connection that is not even read from.
func refuse(conn net.Conn, e *sql.Error) {
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // a closed one fails below
	buf, err := errorResponse(e).Encode(nil)
	if err != nil {
		return
	}
	_, _ = conn.Write(buf) // the client may be gone; there is nobody else to tell
}

// noMemory ends a login for which there is no memory.
func noMemory(why *sql.Error) *sql.Error {
	e := fatal(why.Code, why.Message)
	e.Detail, e.Hint = why.Detail, why.Hint
	return e
}
