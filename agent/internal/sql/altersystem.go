package sql

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// alterSystem sets a setting of the cluster, or resets it to its default. Who may
// is decided where the command is applied.
func (s *Session) alterSystem(ctx context.Context, node *syntax.AlterSystem) (string, error) {
	if err := s.allowAlone("ALTER SYSTEM"); err != nil {
		return "", err
	}
	if node.Value != "" {
		if err := metastate.ValidateSetting(node.Name, node.Value); err != nil {
			return "", &Error{Code: "22023", Message: err.Error()}
		}
	}
	if s.user != s.options.User { // the meta range looks only at who is logged in
		if err := s.need(roleAdmin, "ALTER SYSTEM"); err != nil {
			return "", err
		}
	}
	if node.Name == metastate.SettingHBA {
		if err := s.staysIn(node.Value); err != nil {
			return "", err
		}
	}
	result, err := s.server.cfg.Meta.Propose(ctx, metastate.Command{
		By: s.options.User, Via: metastate.ViaSQL, SetSetting: &metastate.SetSetting{Name: node.Name, Value: node.Value},
	})
	if err == nil {
		err = result.Err()
	}
	var refusal *metastate.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Code == metastate.CodeDenied:
		return "", &Error{Code: "42501", Message: refusal.Message}
	case errors.As(err, &refusal):
		return "", &Error{Code: "22023", Message: refusal.Message}
	case err != nil:
		return "", fmt.Errorf("alter system: %w", err)
	}
	return "ALTER SYSTEM", nil
}

// networkAddress is one end of a connection; not valid: it is none of a network.
func networkAddress(of string) netip.AddrPort {
	at, _ := netip.ParseAddrPort(of)
	return at
}

// staysIn refuses host rules by which who sets them could not log in again.
func (s *Session) staysIn(text string) error {
	rules, err := cluster.ParseHostRules(text)
	if err != nil {
		return &Error{Code: "22023", Message: err.Error()}
	}
	from, err := netip.ParseAddrPort(s.options.Remote)
	if err != nil {
		return nil //nolint:nilerr // a session of the node's own
	}
	if why := s.server.catalog.View().LocksOut(rules, s.options.User, from.Addr().Unmap(), s.options.Database); why != "" {
		return &Error{Code: "55000", Message: "these rules would keep you out: " + why, Hint: "nodedbctl hba set --force sets them all the same; nodedbctl needs no login to SQL."}
	}
	return nil
}
