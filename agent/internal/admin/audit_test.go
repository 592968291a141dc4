package admin

import (
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

func TestListAudit(t *testing.T) {
	r := newRig(t)
	c := r.client("admin")
	got, err := c.ListAudit(t.Context(), &adminpb.ListAuditRequest{After: 1, Limit: 3})
	if err != nil || len(got.GetRecords()) != 3 || got.GetRecords()[0].GetSequence() != 3 {
		t.Errorf("the newest three: got %v %v", got, err)
	}
	got, err = c.ListAudit(t.Context(), &adminpb.ListAuditRequest{Logins: true})
	if err != nil || len(got.GetRecords()) != 6 || got.GetRecords()[3].GetBy() != "eve" || got.GetRecords()[3].GetNode() != 2 || got.GetAsOf().GetComplete() {
		t.Errorf("with logins: got %v %v, want eve's in its place and n3 missing", got, err)
	}
}

func TestVerifyAudit(t *testing.T) {
	heads := metastate.AuditHeads{Last: 7, Chains: map[metastate.AuditClass]metastate.AuditHead{metastate.AuditOwn: {First: 3, Last: 7, Hash: []byte{7}}}}
	good := AuditProof{Heads: heads, Records: 7, Hash: []byte{6}, Logins: map[audit.Class]audit.Kept{audit.Denied: {First: 1, Last: 2}}}
	for name, c := range map[string]struct {
		change  func(p *AuditProof)
		at      uint64
		differs []uint32
	}{
		"intact":        {func(*AuditProof) {}, 0, nil},
		"broken":        {func(p *AuditProof) { p.BrokenAt, p.Why = 4, "audit record 4: ..." }, 4, []uint32{2}},
		"logins":        {func(p *AuditProof) { p.LoginsBad, p.Why = 12, "login record 12: ..." }, 12, []uint32{2}},
		"another chain": {func(p *AuditProof) { p.Hash = []byte{9} }, 7, []uint32{2}},
		"lags":          {func(p *AuditProof) { p.Hash, p.Heads.Last = nil, 3 }, 0, nil},
	} {
		r := newRig(t)
		p := good
		c.change(&p)
		r.backend.mu.Lock()
		r.backend.proofs = map[cluster.NodeID]AuditProof{1: good, 2: p, 3: good}
		r.backend.mu.Unlock()
		got, err := r.client("admin").VerifyAudit(t.Context(), &adminpb.VerifyAuditRequest{})
		if err != nil || got.GetIntact() != (c.differs == nil) || got.GetBrokenAt() != c.at || !slices.Equal(got.GetDiffers(), c.differs) || got.GetHead() != hex.EncodeToString(heads.Hash()) || len(got.GetChains()) != 4 || got.GetChains()[0].GetFirst() != 3 || got.GetRecords() != 7 {
			t.Errorf("%s: got %v %v", name, got, err)
		}
	}
}

// TestRequestsHaveIDs: in the answer, in the error's detail, and in what is recorded.
func TestRequestsHaveIDs(t *testing.T) {
	r := newRig(t)
	answered := func(user, path, id string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(requestHeader, id)
		resp, err := r.http(user).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.Header.Get(requestHeader)
	}
	const whoAmI = "/nodedb.admin.v1.Admin/WhoAmI"
	if got := answered("viewer", whoAmI, "ci-42"); got != "ci-42" {
		t.Errorf("the caller's id: got %q", got)
	}
	for _, bad := range []string{"", strings.Repeat("x", 65), "a b", "<script>"} {
		if got := answered("viewer", whoAmI, bad); !strings.HasPrefix(got, "rq-") {
			t.Errorf("instead of %q: got %q", bad, got)
		}
	}
	if got := answered("", whoAmI, "ci-43"); got != "ci-43" {
		t.Errorf("a refusal: got %q", got)
	}
	_, err := r.client("viewer").StartOperation(t.Context(), &adminpb.StartOperationRequest{})
	var ce *connect.Error
	if !errors.As(err, &ce) || len(ce.Details()) != 1 {
		t.Fatalf("got %v, want a detail", err)
	}
	m, err := connectproto.UnmarshalErrorDetail(ce.Details()[0])
	d, ok := m.(*adminpb.ErrorDetail)
	if err != nil || !ok || d.GetKind() != adminpb.ErrorKind_ERROR_KIND_DENIED || d.GetRequestId() == "" {
		t.Errorf("detail: got %v %v", m, err)
	}
	r.backend.mu.Lock()
	defer r.backend.mu.Unlock()
	var denied []string
	for _, e := range r.backend.denied {
		denied = append(denied, e.User+" "+e.Action)
	}
	if !slices.Equal(denied, []string{" WhoAmI", "viewer StartOperation"}) {
		t.Errorf("denials recorded: got %q", denied)
	}
}
