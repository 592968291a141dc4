package pgwire

import (
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestTimeIsCountedFromParse: statement_timeout is for all messages of a statement together.
func TestTimeIsCountedFromParse(t *testing.T) {
	c := start(t, nil).raw(t)
	parse, describe, sync := &pgproto3.Parse{Query: "rows 1"}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Sync{}
	c.do(&pgproto3.Query{String: "set timeout 1ns"})
	expect(t, "too late", c.do(parse, describe, sync), "parsed", "ERROR 57014", "ready I")
	expect(t, "a new statement", c.do(parse, sync), "parsed", "ready I")
	c.do(&pgproto3.Query{String: "set timeout 1h"})
	expect(t, "in time", c.do(parse, describe, sync)[2:], "columns i:23:0 s:25:0", "ready I")
}

// TestProtocolIsNegotiated: clients that know a later protocol are told that 3.0 is spoken.
func TestProtocolIsNegotiated(t *testing.T) {
	f := start(t, nil)
	conn, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := pgproto3.NewFrontend(conn, conn)
	c.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion32, Parameters: map[string]string{"user": "alice"}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	m, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := m.(*pgproto3.NegotiateProtocolVersion); !ok || n.NewestMinorProtocol != pgproto3.ProtocolVersion30 {
		t.Errorf("the first answer is %#v", m)
	}
}
