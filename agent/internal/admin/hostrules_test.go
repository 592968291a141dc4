package admin

import (
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

func TestHostRules(t *testing.T) {
	r := newRig(t)
	r.backend.change(func(v *metastate.View) {
		v.Objects = map[cluster.ObjectID]*cluster.Object{1: {ID: 1, Kind: cluster.KindDatabase, Name: "nodedb"}, 3: {ID: 3, Kind: cluster.KindDatabase, Name: "other"}}
		v.Settings = metastate.Settings{metastate.SettingHBA: "# one\nhost all +staff 10.0.0.0/8 scram-sha-256 clientcert=verify-full\nhost other all all reject"}
	})
	c := r.client("admin")
	list, err := c.ListHostRules(t.Context(), &adminpb.ListHostRulesRequest{})
	if err != nil || len(list.GetRules()) != 2 || list.GetRules()[0].GetLine() != 2 || list.GetRules()[0].GetUser() != "+staff" || !strings.HasPrefix(list.GetText(), "# one") {
		t.Errorf("rules: %v %v", list, err)
	}
	for _, x := range []struct {
		ask     *adminpb.TestHostRulesRequest
		outcome string
		line    uint32
	}{
		{&adminpb.TestHostRulesRequest{User: "staff", Database: "nodedb", Address: "10.1.2.3"}, "refused connection requires a valid client certificate", 0},
		{&adminpb.TestHostRulesRequest{User: "viewer", Database: "nodedb", Address: "10.1.2.3"}, `refused no pg_hba.conf entry for host "10.1.2.3", user "viewer", database "nodedb", SSL encryption`, 0},
		{&adminpb.TestHostRulesRequest{User: "viewer", Database: "other", Address: "::ffff:10.1.2.3"}, `refused pg_hba.conf rejects connection for host "10.1.2.3", user "viewer", database "other", SSL encryption`, 3},
		{&adminpb.TestHostRulesRequest{User: "viewer", Database: "x", Address: "::1", Text: "host all all ::1/128 trust"}, "nothing ", 1},
		{&adminpb.TestHostRulesRequest{User: "viewer", Database: "x", Address: "::1", Text: "#"}, "password ", 0},
		{&adminpb.TestHostRulesRequest{User: "viewer", Database: "x", Address: "::1", Text: "#", Certificate: true}, "certificate ", 0},
		{&adminpb.TestHostRulesRequest{User: "viewer", Database: "x", Address: "::1", Text: "host all all all scram-sha-256 clientcert=verify-full", Certificate: true}, "certificate and password ", 1},
	} {
		if x.ask.User == "staff" {
			r.backend.change(func(v *metastate.View) { v.Users["staff"] = &metastate.User{Name: "staff"} })
			x.line = 2
		}
		got, err := c.TestHostRules(t.Context(), x.ask)
		if err != nil || got.GetOutcome()+" "+got.GetMessage() != x.outcome || got.GetRule().GetLine() != x.line {
			t.Errorf("%v: %v %v", x.ask, got, err)
		}
	}
	for text, code := range map[string]connect.Code{
		"host all all all md5":     connect.CodeInvalidArgument,
		"host all viewer all cert": connect.CodeFailedPrecondition,
		"host all all all reject":  connect.CodeFailedPrecondition,
		"host all +root all cert\nhost all all 0.0.0.0/0 scram-sha-256": connect.CodeFailedPrecondition, // no password
	} {
		if _, err := c.SetHostRules(t.Context(), &adminpb.SetHostRulesRequest{Text: text, DryRun: true}); connect.CodeOf(err) != code {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, ask := range []*adminpb.SetHostRulesRequest{{Text: "host all all all cert"}, {Text: "host all all all reject", Force: true}, {}} {
		if _, err := c.SetHostRules(t.Context(), ask); err != nil {
			t.Errorf("%v: %v", ask, err)
		}
	}
}
