package pgwire

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// authenticate finds out whether the client is who it says it is, as the host rules want
// it: without any, by its certificate if it showed one, else by its password.
func (c *conn) authenticate() error {
	shown := c.secure != nil && len(c.secure.state.VerifiedChains) > 0
	want := Admission{Found: true, Certificate: shown, Password: !shown}
	if c.server.cfg.Admit != nil {
		want = c.server.cfg.Admit(Knock{User: c.startup.user, Database: c.startup.database, Address: addrOf(c.raw.RemoteAddr()), Certificate: shown})
	}
	switch {
	case !want.Found:
		return c.notAdmitted("no pg_hba.conf entry for", "no host rule")
	case want.Reject:
		return c.notAdmitted("pg_hba.conf rejects connection for", "rejected by a host rule")
	case want.Certificate && !shown:
		c.denied("no certificate")
		return fatal("28000", "connection requires a valid client certificate")
	}
	if want.Certificate {
		if err := c.checkCertificate(); err != nil {
			return err
		}
	}
	if !want.Password {
		return nil
	}
	return c.authenticatePassword()
}

// notAdmitted refuses a client that no host rule lets in, in PostgreSQL's words.
func (c *conn) notAdmitted(what, class string) error {
	c.denied(class)
	encryption := "no encryption"
	if c.secure != nil {
		encryption = "SSL encryption"
	}
	at := addrOf(c.raw.RemoteAddr()).Unmap().WithZone("").String()
	return fatal("28000", fmt.Sprintf(`%s host "%s", user "%s", database "%s", %s`, what, at, c.startup.user, c.startup.database, encryption))
}

func (c *conn) authenticatePassword() error {
	a := c.server.throttle.attempt(c.startup.user, addrOf(c.raw.RemoteAddr()))
	if err := c.awaitTurn(a); err != nil {
		return err
	}
	hold, err := c.tryPassword(a)
	var wrong *wrongPasswordError
	if !errors.As(err, &wrong) {
		return err
	}
	c.denied(wrong.class)
	if err := c.holdBack(hold); err != nil {
		return err
	}
	return fatal("28P01", fmt.Sprintf("password authentication failed for user %q", c.startup.user))
}

// tryPassword runs the exchange and tells the throttle how it ended, come what may.
func (c *conn) tryPassword(a *attempt) (hold time.Duration, err error) {
	how := abandoned
	defer func() { hold = a.done(how) }()
	var wrong *wrongPasswordError
	switch err = c.checkPassword(); {
	case errors.As(err, &wrong):
		how = failed
	case err == nil:
		how = succeeded
	}
	return 0, err
}

// wrongPasswordError is a login that was carried through and failed. Only the
// log learns why.
type wrongPasswordError struct{ class string }

func (e *wrongPasswordError) Error() string { return e.class }

func (c *conn) denied(class string, attrs ...slog.Attr) {
	c.server.counters.loginFailures.Add(1)
	c.logDenied(c.startup.user, class, attrs...)
}

// awaitTurn waits until the throttle lets the password exchange begin. Who waits
// takes no place from those that log in.
func (c *conn) awaitTurn(a *attempt) error {
	if a.start() {
		return nil
	}
	c.moveTo(c.server.held, stageSecured)
	if err := c.allowUntil(time.Time{}); err != nil {
		return err
	}
	again := time.NewTicker(turnInterval)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-c.loginCtx.Done():
			return errEnding
		}
		if a.start() {
			break
		}
	}
	c.moveTo(c.server.logins, stageSecured)
	return c.allowUntil(time.Now().Add(c.server.cfg.AuthTimeout))
}

// turnInterval is how often a login that waits asks for its turn: all of them
// have the same chance.
const turnInterval = 50 * time.Millisecond

// holdBack lets the answer to a failure wait.
func (c *conn) holdBack(d time.Duration) error {
	if d == 0 {
		return nil
	}
	c.moveTo(c.server.held, stageSecured)
	if err := c.allowUntil(time.Now().Add(d + c.server.cfg.AuthTimeout)); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.loginCtx.Done():
		return errEnding
	}
}

// checkCertificate accepts a verified client certificate for its own user only.
func (c *conn) checkCertificate() error {
	refused := fatal("28000", fmt.Sprintf("certificate authentication failed for user %q", c.startup.user))
	id, _, err := auth.PeerUser(&c.secure.state, c.server.cfg.ClusterID)
	switch {
	case err != nil:
		c.denied("certificate", logattr.Err(err))
		return refused
	case id.User == "" || id.User != c.startup.user || id.User != c.secure.state.PeerCertificates[0].Subject.CommonName:
		c.denied("certificate of another", slog.String("certificate", id.String()))
		return refused
	}
	c.login = Login{Serial: id.Serial, Certificate: c.secure.state.PeerCertificates[0]}
	return nil
}

// checkLogin asks whether the credential is still good, after EndInvalid can see
// it: so one that ends meanwhile is noticed there or here.
func (c *conn) checkLogin() error {
	c.login.User = c.startup.user
	c.mu.Lock()
	c.mu.login = &c.login
	c.mu.Unlock()
	if c.server.cfg.Valid == nil {
		return nil
	}
	if err := c.server.cfg.Valid(c.login); err != nil {
		c.denied("credential", logattr.Err(err))
		return fatal("28000", fmt.Sprintf("authentication failed for user %q", c.startup.user))
	}
	return nil
}

// checkPassword runs SCRAM.
func (c *conn) checkPassword() error {
	credentials, known := c.credentials()
	exchange := newSCRAMExchange(credentials, c.secure)
	c.out.send(&pgproto3.AuthenticationSASL{AuthMechanisms: exchange.mechanisms()})
	if err := c.out.flush(); err != nil {
		return err
	}
	if err := c.backend.SetAuthType(pgproto3.AuthTypeSASL); err != nil {
		return err
	}
	message, err := c.receive()
	if err != nil {
		return err
	}
	initial, ok := message.(*pgproto3.SASLInitialResponse)
	if !ok {
		return fatal("08P01", fmt.Sprintf("expected SASL response, got %T", message))
	}
	conversation, err := exchange.conversation(initial.AuthMechanism)
	if err != nil {
		return fatal("08P01", "client selected an invalid SASL authentication mechanism")
	}
	challenge, err := conversation.Step(string(initial.Data))
	if err != nil {
		return &wrongPasswordError{"first SCRAM message"}
	}
	c.out.send(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
	if err := c.out.flush(); err != nil {
		return err
	}
	return c.finishPassword(conversation, known)
}

func (c *conn) finishPassword(conversation *scram.ServerConversation, known bool) error {
	if err := c.backend.SetAuthType(pgproto3.AuthTypeSASLContinue); err != nil {
		return err
	}
	message, err := c.receive()
	if err != nil {
		return err
	}
	final, ok := message.(*pgproto3.SASLResponse)
	if !ok {
		return fatal("08P01", fmt.Sprintf("expected SASL response, got %T", message))
	}
	verdict, err := conversation.Step(string(final.Data))
	switch {
	case !known:
		return &wrongPasswordError{"unknown user"}
	case err != nil || !conversation.Valid():
		return &wrongPasswordError{"wrong password"}
	}
	c.out.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(verdict)})
	return nil
}

// credentials are the user's, or invented ones that look alike.
func (c *conn) credentials() (_ scram.StoredCredentials, known bool) {
	verifier, ok := c.server.cfg.Credentials(c.startup.user)
	if ok {
		credentials, err := auth.ParseSCRAMVerifier(verifier)
		if err == nil {
			return credentials, true
		}
		c.server.cfg.Logger.Error("stored credentials of a user are damaged, logins are refused",
			"user", c.startup.user, logattr.Err(err))
	}
	return auth.FakeCredentials(c.server.cfg.SaltSecret, c.startup.user), false
}
