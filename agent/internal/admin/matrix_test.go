package admin

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

var update = flag.Bool("update", false, "rewrite testdata/matrix.txt; then read the difference")

// Outcomes of a call with a credential.
const (
	served  = "ok"  // let in: the malformed body is what is refused
	unknown = "401" // not authenticated
	denied  = "403" // the role does not suffice
	noTLS   = "tls" // the handshake fails
)

// credential is a way to come.
type credential struct {
	name   string
	client *http.Client
}

// credentials are those of the matrix, in the order of its columns.
func (r *rig) credentials() []credential {
	r.t.Helper()
	bearer := func(secret string) *http.Client {
		hc := r.http("")
		hc.Transport = &bearerTransport{secret, hc.Transport}
		return hc
	}
	token := func(change func(*metastate.Token)) *http.Client {
		id, secret, hash := auth.NewBearerToken()
		tok := &metastate.Token{ID: id, Owner: "admin", Role: "admin", Hash: hash[:]}
		change(tok)
		r.backend.change(func(v *metastate.View) { v.Tokens[id] = tok })
		return bearer(secret)
	}
	_, stranger, _ := auth.NewBearerToken()
	other, err := auth.NewCA(clusterID)
	if err != nil {
		r.t.Fatal(err)
	}
	revoked := r.cert("admin")
	r.backend.change(func(v *metastate.View) {
		serial := revoked.Leaf.SerialNumber.Text(16)
		v.Certificates = map[string]*metastate.Certificate{serial: {Serial: serial, RevokedAt: time.Now()}}
	})
	return []credential{
		{"none", r.http("")},
		{"bad-token", bearer(stranger)},
		{"garbage", bearer("x")},
		{"expired-token", token(func(t *metastate.Token) { t.ExpiresAt = time.Now().Add(-time.Second) })},
		{"revoked-token", token(func(t *metastate.Token) { t.RevokedAt = time.Now() })},
		{"orphan-token", token(func(t *metastate.Token) { t.Owner = "stranger" })},
		{"wrong-ca", r.withCert(r.certBy(other, "admin", time.Hour))},
		{"expired-cert", r.withCert(r.certBy(r.ca, "admin", -time.Minute))},
		{"revoked-cert", r.withCert(revoked)},
		{"node-cert", r.withCert(r.nodeCert())},
		{"no-role", r.http("nobody")},
		{"viewer", r.http("viewer")},
		{"operator", r.http("operator")},
		{"admin", r.http("admin")},
		{"viewer-token", token(func(t *metastate.Token) { t.Role = "viewer" })},
	}
}

func (r *rig) withCert(c tls.Certificate) *http.Client {
	hc := r.http("")
	tr, _ := hc.Transport.(*http.Transport)
	tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	return hc
}

func (r *rig) certBy(ca *auth.CA, user string, life time.Duration) tls.Certificate {
	r.t.Helper()
	key, err := auth.NewKey()
	if err != nil {
		r.t.Fatal(err)
	}
	serial, err := auth.NewSerial()
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := ca.IssueClientFor(auth.ClientGrant{User: user, Serial: serial, Expires: time.Now().Add(life)}, clusterID, key.Public())
	if err != nil {
		r.t.Fatal(err)
	}
	certs, err := auth.ParseCerts(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{certs[0].Raw}, PrivateKey: key, Leaf: certs[0]}
}

func (r *rig) nodeCert() tls.Certificate {
	r.t.Helper()
	key, err := auth.NewKey()
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := r.ca.IssueNode(clusterID, 2, nil, key.Public())
	if err != nil {
		r.t.Fatal(err)
	}
	certs, err := auth.ParseCerts(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{certs[0].Raw}, PrivateKey: key, Leaf: certs[0]}
}

// protocols are the ways to make a call; each sends a body that no method takes.
var protocols = map[string]func(req *http.Request) []byte{
	"json": func(req *http.Request) []byte {
		req.Header.Set("Content-Type", "application/json")
		return []byte("}")
	},
	"ndjson": func(req *http.Request) []byte { // of streams
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/x-ndjson")
		return []byte("}")
	},
	"grpc": func(req *http.Request) []byte {
		req.Header.Set("Content-Type", "application/grpc+proto")
		req.Header.Set("Te", "trailers")
		return []byte{0, 0, 0, 0, 1, 0xff}
	},
}

func (r *rig) outcome(c credential, protocol string, spec connect.Spec) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+spec.Procedure, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	body := protocols[protocol](req)
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := c.client.Do(req)
	if err != nil {
		return noTLS // however the end of the connection is noticed
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	status := fmt.Sprint(resp.StatusCode)
	if protocol == "grpc" {
		code := resp.Trailer.Get("Grpc-Status")
		if code == "" {
			code = resp.Header.Get("Grpc-Status")
		}
		status = map[string]string{"16": unknown, "7": denied, "3": "400", "13": "400"}[code]
	}
	if status == "400" {
		return served
	}
	if status != unknown && status != denied {
		return status + " " + string(text)
	}
	return status
}

// TestMatrix makes every call of the protocol with every kind of credential, over
// every wire protocol, and compares with testdata/matrix.txt. A method without a
// row there fails; -update writes one, for a person to read.
func TestMatrix(t *testing.T) {
	r := newRig(t)
	creds := r.credentials()
	var specs []connect.Spec
	for spec := range r.server.calls.Specs() {
		specs = append(specs, spec)
	}
	slices.SortFunc(specs, func(a, b connect.Spec) int { return strings.Compare(a.Procedure, b.Procedure) })
	heads := []string{"method"}
	for _, c := range creds {
		heads = append(heads, c.name)
	}
	got := map[string]string{}
	order := []string{}
	for _, spec := range specs {
		row := []string{}
		for _, c := range creds {
			first := ""
			wires := []string{"json", "grpc"}
			if spec.StreamType != connect.StreamTypeUnary {
				wires[0] = "ndjson"
			}
			for _, protocol := range wires {
				o := r.outcome(c, protocol, spec)
				if first == "" {
					first = o
				}
				if o != first {
					t.Errorf("%s as %s: %s over json, %s over %s", method(spec.Procedure), c.name, first, o, protocol)
				}
			}
			row = append(row, first)
		}
		name := method(spec.Procedure)
		got[name] = strings.Join(row, " ")
		order = append(order, name)
	}
	path := filepath.Join("testdata", "matrix.txt")
	if *update {
		var b strings.Builder
		b.WriteString(strings.Join(heads, " ") + "\n")
		for _, name := range order {
			b.WriteString(name + " " + got[name] + "\n")
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	if lines[0] != strings.Join(heads, " ") {
		t.Fatalf("columns: got %q, want %q", lines[0], heads)
	}
	rows := map[string]string{}
	for _, l := range lines[1:] {
		name, row, _ := strings.Cut(l, " ")
		rows[name] = row
	}
	for _, name := range order {
		switch row, ok := rows[name]; {
		case !ok:
			t.Errorf("%s has no row in %s: who may call it?", name, path)
		case row != got[name]:
			t.Errorf("%s\n got %s\nwant %s", name, got[name], row)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("%s has a row in %s, but there is no such method", name, path)
	}
}

// TestMatrixMatchesTheSchema keeps the golden table from saying something else
// than the roles in the schema.
func TestMatrixMatchesTheSchema(t *testing.T) {
	r := newRig(t)
	for spec := range r.server.calls.Specs() {
		need := required(spec)
		if need == auth.RoleNone {
			t.Errorf("%s requires no role", spec.Procedure)
		}
		if reads := spec.IdempotencyLevel == connect.IdempotencyNoSideEffects; !reads && need < auth.RoleOperator {
			t.Errorf("%s changes something and needs only %s", spec.Procedure, need)
		}
	}
}

// FuzzCertificate shows certificates to who decides by them: an answer, never a panic.
func FuzzCertificate(f *testing.F) {
	ca, err := auth.NewCA(clusterID)
	if err != nil {
		f.Fatal(err)
	}
	key, err := auth.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, make := range []func() ([]byte, error){
		func() ([]byte, error) { return ca.IssueClient(clusterID, "admin", key.Public()) },
		func() ([]byte, error) { return ca.IssueNode(clusterID, 1, []string{"h"}, key.Public()) },
	} {
		text, err := make()
		if err != nil {
			f.Fatal(err)
		}
		certs, err := auth.ParseCerts(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(certs[0].Raw)
	}
	view := newFakeBackend(ca.CertPEM()).View()
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
		who, err := auth.Authenticate(view, state, "", time.Now())
		if err == nil && who.Role > auth.RoleNone && (len(cert.URIs) == 0 || who.Name == "") {
			t.Errorf("a certificate without a name is %+v", who)
		}
	})
}

// FuzzToken: no text but the secret itself is a token.
func FuzzToken(f *testing.F) {
	id, good, hash := auth.NewBearerToken()
	f.Add(good)
	f.Add("ndb_" + id + "_")
	f.Add("")
	b := newFakeBackend(nil)
	b.change(func(v *metastate.View) {
		v.Tokens[id] = &metastate.Token{ID: id, Owner: "admin", Role: "admin", Hash: hash[:]}
	})
	view := b.View()
	f.Fuzz(func(t *testing.T, text string) {
		who, err := auth.Authenticate(view, nil, text, time.Now())
		if (err == nil) != (text == good) {
			t.Errorf("%q: %+v %v", text, who, err)
		}
	})
}
