package metastate

import (
	"strings"
	"testing"
	"time"
)

func TestRotationsGoStepByStep(t *testing.T) {
	s := newStored(t)
	step := func(step, next string) string {
		res := s.do(t, Command{By: "root", Via: ViaAdmin, RotateCA: &RotateCA{Step: step, Next: next}})
		gossip := s.do(t, Command{By: "root", Via: ViaAdmin, RotateGossip: &RotateGossip{Step: step, Next: next}})
		if (res.Refusal == nil) != (gossip.Refusal == nil) {
			t.Errorf("%s: CA %v, gossip key %v", step, res.Err(), gossip.Err())
		}
		state := "none"
		if r := s.View().CARotation; r != nil {
			state = r.State
		}
		if res.Refusal != nil {
			return "refused, " + state
		}
		return state
	}
	for _, c := range []struct{ step, next, want string }{
		{StepActivate, "", "refused, none"}, {StepFinalize, "", "refused, none"}, {StepAbort, "", "refused, none"},
		{StepStage, "", "refused, none"}, {StepStage, "B", RotationStaged}, {StepStage, "C", "refused, staged"},
		{StepFinalize, "", "refused, staged"}, {StepAbort, "", "none"}, {StepStage, "C", RotationStaged},
		{StepActivate, "", RotationActive}, {StepAbort, "", "refused, active"}, {StepActivate, "", "refused, active"}, {"jump", "", "refused, active"},
	} {
		if got := step(c.step, c.next); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.step, c.next, got, c.want)
		}
	}
	v := s.View()
	if v.Roots() != "PEMC" || v.SigningCA() != "C" {
		t.Errorf("while active: roots %q, signing %q", v.Roots(), v.SigningCA())
	}
	if got := step(StepFinalize, ""); got != "none" || s.View().Roots() != "C" || s.View().GossipKey != "C" {
		t.Errorf("finalized: %s, roots %q, key %q", got, s.View().Roots(), s.View().GossipKey)
	}
}

func TestCertificatesAreRecordedAndRevoked(t *testing.T) {
	s := newStored(t)
	issue := func(serial, user, role string) *Refusal {
		return s.do(t, Command{By: "root", Via: ViaAdmin, IssueCertificate: &IssueCertificate{
			Serial: serial, User: user, KeyHash: []byte{1}, ExpiresAt: s.clock.Add(time.Hour), AdminRole: role,
		}}).Refusal
	}
	if r := issue("aa", "vera", ""); r == nil || r.Code != CodeNotFound {
		t.Errorf("a user that does not exist: %v", r)
	}
	if r := issue("aa", "vera", "viewer"); r != nil || s.View().Users["vera"].AdminRole != "viewer" {
		t.Errorf("with a role: %v", r)
	}
	if r := issue("ab", "vera", "admin"); r == nil || r.Code != CodeConflict {
		t.Errorf("with another role than the user has: %v", r)
	}
	if r := issue("aa", "vera", ""); r == nil || r.Code != CodeExists {
		t.Errorf("the same serial again: %v", r)
	}
	revoke := Command{By: "root", Via: ViaAdmin, RevokeCertificate: &RevokeCertificate{Serial: "aa"}}
	if res := s.do(t, revoke); res.Refusal != nil || !s.View().Revoked("aa") || s.View().Revoked("ab") {
		t.Errorf("revoke: %v", res.Err())
	}
	if res := s.do(t, revoke); !res.Existed {
		t.Error("revoked again: not told so")
	}
	if res := s.do(t, Command{By: "root", Via: ViaAdmin, RevokeCertificate: &RevokeCertificate{Serial: strings.Repeat("f", 65)}}); res.Refusal == nil {
		t.Error("an endless serial is taken")
	}
	if res := s.do(t, Command{RevokeCertificate: &RevokeCertificate{Serial: "offline"}}); res.Refusal != nil || !s.View().Revoked("offline") {
		t.Errorf("one that was made offline: %v", res.Err())
	}
}
