package metastate

import (
	"fmt"
	"net/netip"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Knock is a client that wants to log in, with the roles that the user is a member of.
func (v *View) Knock(user, database string, at netip.Addr) cluster.Knock {
	return cluster.Knock{User: user, Database: database, Address: at, Member: func(role string) bool {
		return v.Users[role] != nil && v.MemberOf(user)[role]
	}}
}

// LocksOut says why who sets these host rules could not log in by them from where they are,
// to any of the databases; "": they could.
func (v *View) LocksOut(rules cluster.HostRules, user string, at netip.Addr, databases ...string) string {
	why := "there is no database"
	for _, d := range databases {
		switch r := rules.Find(v.Knock(user, d, at)); {
		case r == nil:
			why = fmt.Sprintf("no rule lets in user %q from %s", user, at)
		case r.Method == cluster.MethodReject:
			why = fmt.Sprintf("line %d rejects user %q from %s", r.Line, user, at)
		case r.Method == cluster.MethodPassword && (v.Users[user] == nil || v.Users[user].Verifier == ""):
			why = fmt.Sprintf("line %d wants a password of user %q, who has none", r.Line, user)
		default:
			return ""
		}
	}
	return why
}
