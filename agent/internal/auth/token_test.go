package auth

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/xdg-go/scram"
)

func TestJoinToken(t *testing.T) {
	ca := newCA(t, testCluster)
	id, token, hash, err := NewJoinToken(ca.CertPEM())
	if err != nil {
		t.Fatal(err)
	}
	jt, err := ParseJoinToken(" " + token + "\n")
	if err != nil || jt.ID != id || jt.Hash() != hash || jt.Pin != ca.Pin() {
		t.Fatalf("got %v, %v", jt, err)
	}
	for _, f := range []string{"%v", "%s", "%+v", "%#v"} {
		if s := fmt.Sprintf(f, jt); strings.Contains(s, jt.Secret) {
			t.Errorf("%s shows the secret: %s", f, s)
		}
	}
	for _, bad := range []string{"", "x", token[:len(token)-1], token + "a", "ndbjoin2" + token[8:], strings.Replace(token, ".", "_", 1)} {
		if _, err := ParseJoinToken(bad); !errors.Is(err, ErrJoinToken) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestBearerToken(t *testing.T) {
	id, token, hash := NewBearerToken()
	gotID, gotHash, err := ParseBearer(token + "\n")
	if err != nil || gotID != id || gotHash != hash {
		t.Fatalf("got %s, %v", gotID, err)
	}
	for i := range token { // every single mistyped character is noticed
		c := byte('b')
		if token[i] == c {
			c = 'c'
		}
		if _, _, err := ParseBearer(token[:i] + string(c) + token[i+1:]); !errors.Is(err, ErrBearerToken) {
			t.Fatalf("character %d changed: got %v", i, err)
		}
	}
}

func TestSCRAMVerifier(t *testing.T) {
	for _, pw := range []string{"s3cret", "pä ss", "a\u00adb", "\x01control"} {
		v, err := NewSCRAMVerifier(pw)
		if err != nil {
			t.Fatalf("%q: %v", pw, err)
		}
		cred, err := ParseSCRAMVerifier(v)
		if err != nil || cred.Iters != SCRAMIterations {
			t.Fatalf("%q: got %+v, %v", pw, cred, err)
		}
		if pw != "\x01control" && !exchange(t, pw, cred) {
			t.Errorf("%q: login refused", pw)
		}
		if exchange(t, pw+"x", cred) {
			t.Errorf("%q: login with a wrong password", pw)
		}
	}
	if exchange(t, "s3cret", FakeCredentials([]byte("k"), "mallory")) {
		t.Error("login as nobody")
	}
	if a, b := FakeCredentials([]byte("k"), "m"), FakeCredentials([]byte("k"), "m"); a.Salt != b.Salt {
		t.Error("the fake salt of a name changes")
	}
}

// PostgreSQL 15 wrote this one for the password "pencil".
func TestSCRAMVerifierOfPostgreSQL(t *testing.T) {
	c, err := scram.SHA256.NewClient("", "pencil", "")
	if err != nil {
		t.Fatal(err)
	}
	cred, err := ParseSCRAMVerifier("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.GetStoredCredentialsWithError(cred.KeyFactors)
	if err != nil || string(want.StoredKey) != string(cred.StoredKey) || string(want.ServerKey) != string(cred.ServerKey) {
		t.Fatalf("keys differ: %v", err)
	}
}

func exchange(t *testing.T, password string, cred scram.StoredCredentials) bool {
	t.Helper()
	c, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		if c, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			t.Fatal(err)
		}
	}
	s, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return cred, nil })
	if err != nil {
		t.Fatal(err)
	}
	cc, sc := c.NewConversation(), s.NewConversation()
	m, err := cc.Step("")
	for err == nil && !sc.Done() {
		var r string
		if r, err = sc.Step(m); err != nil {
			break
		}
		m, err = cc.Step(r)
	}
	return sc.Valid()
}

func TestAuthenticate(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	_, good, _ := NewBearerToken()
	mk := func(id string, token string, role, owner string) *metastate.Token {
		_, h, err := ParseBearer(token)
		if err != nil {
			t.Fatal(err)
		}
		return &metastate.Token{ID: id, Owner: owner, Role: role, Hash: h[:], ExpiresAt: now.Add(time.Hour)}
	}
	idGood, _, _ := ParseBearer(good)
	idCap, capped, _ := NewBearerToken()
	idOrphan, orphan, _ := NewBearerToken()
	idRevoked, revoked, _ := NewBearerToken()
	idExpired, expired, _ := NewBearerToken()
	_, unknown, _ := NewBearerToken()
	view := &metastate.View{ClusterID: testCluster,
		Users: map[string]*metastate.User{"root": {Name: "root", AdminRole: "admin"}, "ann": {Name: "ann", AdminRole: "viewer"}, "bob": {Name: "bob"}},
		Tokens: map[string]*metastate.Token{
			idGood: mk(idGood, good, "operator", "root"), idCap: mk(idCap, capped, "admin", "ann"),
			idOrphan: mk(idOrphan, orphan, "admin", "gone"), idRevoked: mk(idRevoked, revoked, "admin", "root"),
			idExpired: mk(idExpired, expired, "admin", "root"),
		}}
	view.Tokens[idRevoked].RevokedAt = now.Add(-time.Minute)
	view.Tokens[idExpired].ExpiresAt = now
	ca := newCA(t, testCluster)
	server := nodeSource(t, ca, testCluster, 1)
	state := func(c *tls.Config) *tls.ConnectionState {
		st, serr, cerr := handshake(t, server.AdminConfig(), c)
		if serr != nil || cerr != nil {
			t.Fatal(serr, cerr)
		}
		return &st
	}
	root := state(clientConfig(t, ca, testCluster, "root"))
	tests := []struct {
		name, bearer string
		state        *tls.ConnectionState
		want         Principal
		err          string
	}{
		{"token", good, nil, Principal{Name: "root", Role: RoleOperator}, ""},
		{"token capped by its owner", capped, nil, Principal{Name: "ann", Role: RoleViewer}, ""},
		{"token without owner", orphan, nil, Principal{}, "no longer exists"},
		{"revoked", revoked, nil, Principal{}, "revoked"},
		{"expired", expired, nil, Principal{}, "expired"},
		{"unknown", unknown, nil, Principal{}, "unknown"},
		{"garbage", "hello", nil, Principal{}, "not a token"},
		{"bad token beside a good certificate", unknown, root, Principal{}, "unknown"},
		{"nothing", "", nil, Principal{}, "neither"},
		{"certificate", "", root, Principal{Name: "root", Role: RoleAdmin}, ""},
		{"user without role", "", state(clientConfig(t, ca, testCluster, "bob")), Principal{Name: "bob"}, ""},
		{"unknown user", "", state(clientConfig(t, ca, testCluster, "eve")), Principal{}, "no user"},
		{"another cluster's user", "", state(clientConfig(t, ca, "c2", "root")), Principal{}, "belongs to cluster"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Authenticate(view, tt.state, tt.bearer, now)
			if tt.err != "" {
				if !errors.Is(err, ErrUnauthenticated) || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				if tt.bearer != "" && strings.Contains(err.Error(), tt.bearer) {
					t.Fatalf("error holds the token: %v", err)
				}
				return
			}
			if err != nil || got.Name != tt.want.Name || got.Role != tt.want.Role {
				t.Fatalf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseTokens(f *testing.F) {
	_, bearer, _ := NewBearerToken()
	f.Add(bearer)
	f.Add("ndbjoin1.aaaaaaaa.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
	f.Fuzz(func(t *testing.T, s string) {
		if jt, err := ParseJoinToken(s); err == nil && jt.Encode() != strings.TrimSpace(s) {
			t.Fatalf("two spellings of one join token: %q", s)
		}
		if id, h, err := ParseBearer(s); err == nil && (id == "" || h == sha256.Sum256(nil)) {
			t.Fatalf("accepted %q", s)
		}
		_, _ = ParseSCRAMVerifier(s)
	})
}

func FuzzParseCertificates(f *testing.F) {
	ca := newCA(f, testCluster)
	pem, err := ca.IssueNode(testCluster, 3, []string{"127.0.0.1"}, newKey(f).Public())
	if err != nil {
		f.Fatal(err)
	}
	csr, err := NewCSR(newKey(f))
	if err != nil {
		f.Fatal(err)
	}
	key, err := KeyPEM(newKey(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem)
	f.Add(csr)
	f.Add(key)
	f.Fuzz(func(t *testing.T, b []byte) {
		if cs, err := ParseCerts(b); err == nil {
			for _, c := range cs {
				if id, err := CertIdentity(c); err == nil && (id.Node == 0) == (id.User == "") {
					t.Fatalf("identity is not one of node and user: %+v", id)
				}
			}
		}
		_, _ = ParseKey(b)
		_, _, _ = CSRKey(b)
	})
}
