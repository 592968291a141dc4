package admin

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// ListHostRules implements adminpb.AdminHandler.
func (s *service) ListHostRules(context.Context, *adminpb.ListHostRulesRequest) (*adminpb.ListHostRulesResponse, error) {
	settings := s.backend.View().Settings
	return &adminpb.ListHostRulesResponse{AsOf: s.asOf(), Rules: hostRuleProtos(settings.HostRules()), Text: settings[metastate.SettingHBA]}, nil
}

func hostRuleProtos(rules cluster.HostRules) []*adminpb.HostRule {
	out := make([]*adminpb.HostRule, len(rules))
	for i := range rules {
		out[i] = hostRuleProto(&rules[i])
	}
	return out
}

func hostRuleProto(r *cluster.HostRule) *adminpb.HostRule {
	return &adminpb.HostRule{Line: uint32(r.Line), Type: r.Type, Database: r.DatabaseNames(), User: r.UserNames(), Address: r.Address(), Method: string(r.Method), Options: r.Options()}
}

// SetHostRules implements adminpb.AdminHandler.
func (s *service) SetHostRules(ctx context.Context, r *adminpb.SetHostRulesRequest) (*adminpb.SetHostRulesResponse, error) {
	rules, err := cluster.ParseHostRules(r.GetText())
	if err != nil {
		return nil, &Error{Kind: KindInvalid, Message: err.Error()}
	}
	if why := s.locksOut(ctx, rules); why != "" && !r.GetForce() {
		return nil, &Error{Kind: KindUnsafe, Message: fmt.Sprintf("you could not log in to SQL any more: %s; --force sets the rules all the same", why)}
	}
	out := &adminpb.SetHostRulesResponse{Rules: hostRuleProtos(rules)}
	if r.GetDryRun() {
		return out, nil
	}
	res, err := s.propose(ctx, metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingHBA, Value: r.GetText(), Reason: r.GetReason()}})
	out.Changed = err == nil && !res.Existed
	return out, err
}

// locksOut says why the caller could not log in by rules from where the call comes; "": they
// could, to some database.
func (s *service) locksOut(ctx context.Context, rules cluster.HostRules) string {
	who, ok := metastate.ActorOf(ctx)
	from, err := netip.ParseAddr(who.Source)
	if !ok || err != nil {
		from = netip.MustParseAddr("127.0.0.1") // over the node's own socket
	}
	view := s.backend.View()
	var databases []string
	for _, id := range sortedKeys(view.Objects) {
		if o := view.Objects[id]; o.Kind == cluster.KindDatabase {
			databases = append(databases, o.Name)
		}
	}
	return view.LocksOut(rules, caller(ctx).Name, from.Unmap(), databases...)
}

// TestHostRules implements adminpb.AdminHandler.
func (s *service) TestHostRules(_ context.Context, r *adminpb.TestHostRulesRequest) (*adminpb.TestHostRulesResponse, error) {
	view := s.backend.View()
	rules := view.Settings.HostRules()
	var err error
	if r.GetText() != "" {
		if rules, err = cluster.ParseHostRules(r.GetText()); err != nil {
			return nil, &Error{Kind: KindInvalid, Message: err.Error()}
		}
	}
	from, err := netip.ParseAddr(r.GetAddress())
	if err != nil || r.GetUser() == "" || r.GetDatabase() == "" {
		return nil, &Error{Kind: KindInvalid, Message: fmt.Sprintf("a login has a user, a database and an address, not %q, %q and %q", r.GetUser(), r.GetDatabase(), r.GetAddress())}
	}
	from = from.Unmap()
	out := &adminpb.TestHostRulesResponse{AsOf: s.asOf()}
	login := fmt.Sprintf(`host "%s", user "%s", database "%s", SSL encryption`, from, r.GetUser(), r.GetDatabase())
	rule := rules.Find(view.Knock(r.GetUser(), r.GetDatabase(), from))
	if rule == nil {
		out.Outcome, out.Message = "refused", "no pg_hba.conf entry for "+login
		return out, nil
	}
	out.Rule = hostRuleProto(rule)
	switch wants := rule.Wants(r.GetCertificate()); {
	case wants.Reject:
		out.Outcome, out.Message = "refused", "pg_hba.conf rejects connection for "+login
	case wants.Certificate && !r.GetCertificate():
		out.Outcome, out.Message = "refused", "connection requires a valid client certificate"
	case wants.Certificate && wants.Password:
		out.Outcome = "certificate and password"
	case wants.Certificate:
		out.Outcome = "certificate"
	case wants.Password:
		out.Outcome = "password"
	default:
		out.Outcome = "nothing"
	}
	return out, nil
}
