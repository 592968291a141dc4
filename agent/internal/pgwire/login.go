package pgwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

// maxLoginMessageBytes bounds what a stranger can make the node hold.
const maxLoginMessageBytes = 64 << 10

// tlsRecordHandshake is the first byte of a TLS ClientHello; no PostgreSQL
// message starts with it, because it would be one of 350 MB.
const tlsRecordHandshake = 0x16

// startup is what the client's first message said.
type startup struct {
	protocol uint32
	user     string
	database string
	params   map[string]string // settings, application_name among them
	unknown  []string          // protocol options that we don't have
}

// logIn carries the connection from the first byte to the first ReadyForQuery.
// After a cancel request it returns nil and leaves session nil.
func (c *conn) logIn() error {
	began := time.Now()
	if err := c.allowUntil(began.Add(min(c.server.cfg.TLSTimeout, c.server.cfg.AuthTimeout))); err != nil {
		return err
	}
	message, err := c.negotiate()
	if err != nil || message == nil {
		return err
	}
	c.place.reached(stageSecured)
	if err := c.allowUntil(began.Add(c.server.cfg.AuthTimeout)); err != nil {
		return err
	}
	if c.startup, err = readStartup(message); err != nil {
		return err
	}
	if err := c.checkTransport(); err != nil {
		return err
	}
	if len(c.startup.unknown) > 0 || c.startup.protocol != pgproto3.ProtocolVersion30 {
		c.out.send(&pgproto3.NegotiateProtocolVersion{
			NewestMinorProtocol: pgproto3.ProtocolVersion30, // all of the version: PostgreSQL 15 does so
			UnrecognizedOptions: c.startup.unknown,
		})
	}
	if err := c.authenticate(); err != nil {
		return err
	}
	if err := c.checkLogin(); err != nil {
		return err
	}
	c.audit(c.startup.user, "")
	return c.openSession()
}

// allowUntil gives the client time to say more, unless the login is to end.
func (c *conn) allowUntil(deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.force {
		return c.mu.ending
	}
	return c.raw.SetDeadline(deadline)
}

// negotiate answers encryption requests until the startup message or a cancel
// request (nil) comes.
func (c *conn) negotiate() (*pgproto3.StartupMessage, error) {
	first := make([]byte, 1)
	if _, c.readErr = io.ReadFull(c.raw, first); c.readErr != nil {
		return nil, c.readErr
	}
	replay := &replayConn{Conn: c.raw, head: first}
	if first[0] == tlsRecordHandshake {
		if c.server.cfg.TLS == nil {
			c.readErr = errors.New("TLS is not configured")
			return nil, c.readErr
		}
		if err := c.startTLS(replay, true); err != nil {
			return nil, err
		}
	} else {
		c.setTransport(replay)
	}
	for requests := 0; requests < 3; requests++ {
		message, err := c.receiveStartup()
		if err != nil {
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.StartupMessage:
			return m, nil
		case *pgproto3.CancelRequest:
			c.server.cancelAnywhere(c.loginCtx, m.ProcessID, m.SecretKey)
			return nil, nil
		case *pgproto3.SSLRequest:
			err = c.answerSSLRequest(requests)
		case *pgproto3.GSSEncRequest:
			_, err = c.net.Write([]byte{'N'})
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("too many encryption requests")
}

// answerSSLRequest is called after earlier requests of 8 bytes each.
func (c *conn) answerSSLRequest(earlier int) error {
	if c.server.cfg.TLS == nil || c.secure != nil {
		_, err := c.net.Write([]byte{'N'})
		return err
	}
	if c.received > 8*(earlier+1) {
		return fatal("08P01", "received unencrypted data after SSL request")
	}
	if _, err := c.net.Write([]byte{'S'}); err != nil {
		return err
	}
	return c.startTLS(c.net, false)
}

func (c *conn) startTLS(over net.Conn, direct bool) error {
	conn, sec, err := handshake(c.loginCtx, over, c.server.cfg.TLS, direct, func() { c.place.reached(stageHello) })
	if err != nil {
		if c.endReason() == nil { // else this side ended it
			c.logDenied("", "tls handshake", logattr.Err(err))
		}
		c.readErr = err // there is no common language to say more in
		return err
	}
	c.place.reached(stageSecured)
	c.secure = sec
	c.setTransport(conn)
	return nil
}

// replayConn gives back a byte that was read to see what the client speaks.
type replayConn struct {
	net.Conn
	head []byte
}

func (r *replayConn) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// readStartup sorts the parameters of the startup message.
func readStartup(m *pgproto3.StartupMessage) (startup, error) {
	s := startup{protocol: m.ProtocolVersion, params: map[string]string{}}
	for name, value := range m.Parameters {
		switch name {
		case "user":
			s.user = value
		case "database":
			s.database = value
		case "options":
			if err := readOptions(value, s.params); err != nil {
				return s, err
			}
		case "replication":
			if value != "" && value != "false" && value != "off" && value != "0" && value != "no" {
				return s, fatal("0A000", "replication connections are not supported")
			}
		default:
			if strings.HasPrefix(name, "_pq_.") {
				s.unknown = append(s.unknown, name)
				continue
			}
			s.params[name] = value
		}
	}
	if s.user == "" {
		return s, fatal("28000", "no user name specified in startup packet")
	}
	if s.database == "" {
		s.database = s.user
	}
	return s, nil
}

// readOptions reads "-c name=value --name=value", where a backslash keeps a space.
func readOptions(text string, into map[string]string) error {
	words := splitOptions(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-c" && i+1 < len(words):
			i++
			word = words[i]
		case strings.HasPrefix(word, "-c"):
			word = word[2:]
		case strings.HasPrefix(word, "--"):
			word = word[2:]
		default:
			return fatal("42601", fmt.Sprintf("invalid command-line argument in the startup options: %q", word))
		}
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return fatal("42601", fmt.Sprintf("startup option %q is not of the form name=value", word))
		}
		into[strings.ReplaceAll(name, "-", "_")] = value
	}
	return nil
}

func splitOptions(text string) []string {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			inWord = true
		case b == ' ' || b == '\t' || b == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteByte(b)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// checkTransport refuses clear text where a password could be overheard.
func (c *conn) checkTransport() error {
	if c.secure != nil {
		return nil
	}
	if c.server.cfg.RequireTLS || !isLoopback(c.raw.RemoteAddr()) {
		c.logDenied(c.startup.user, "no TLS")
		e := fatal("28000", "TLS is required")
		e.Hint = "Connect with sslmode=verify-full and the cluster's CA certificate."
		return e
	}
	return nil
}

func isLoopback(a net.Addr) bool { return addrOf(a).Unmap().IsLoopback() }

func addrOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr()
}

// openSession begins the SQL session and greets the client.
func (c *conn) openSession() error {
	if err := c.server.admit(c); err != nil {
		return err
	}
	if err := c.base.grow(&c.account, sessionBytes); err != nil {
		c.server.counters.refused.Add(1)
		return noMemory(err)
	}
	c.out.send(&pgproto3.AuthenticationOk{})
	mark := len(c.out.buf)
	session, err := c.server.cfg.Open(c.loginCtx, sql.SessionOptions{
		User:            c.startup.user,
		Database:        c.startup.database,
		ApplicationName: c.startup.params["application_name"],
		Remote:          c.remote(),
		Local:           c.raw.LocalAddr().String(),
		PID:             c.pid,
		Params:          c.startup.params,
		OnSettingChange: c.settingChanged,
		OnStyleChange:   c.styleChanged,
		OnNotice:        c.notice,
		OnNotification:  c.notifications.add,
	})
	if err != nil {
		return sql.AsError(err)
	}
	c.statements = map[string]*statement{}
	c.portals = map[string]*portal{}
	c.limitMessages(c.server.cfg.MaxMessageBytes)
	c.out.buf = c.out.buf[:mark] // what changed while opening is told at once below
	c.sendParameters(session)
	c.out.buf = append(c.out.buf, 'K')
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, uint32(8+len(c.key)))
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, c.pid)
	c.out.buf = append(c.out.buf, c.key...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session // close ends it from here on
	c.mu.loggedIn = true
	if c.mu.force {
		return c.mu.ending
	}
	c.ready()
	c.out.arm = c.armWrite
	return c.raw.SetDeadline(time.Time{})
}
