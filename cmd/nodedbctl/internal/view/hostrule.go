package view

import "github.com/nodedb/nodedb/client/adminpb"

// HostRule is the kind HostRule: who may log in to SQL from where, and how they prove who
// they are.
type HostRule struct {
	Line     uint32 `json:"line"`     // of the text; 0: it is the default
	Type     string `json:"type"`     // host | hostssl
	Database string `json:"database"` // all, sameuser, samerole, or names
	User     string `json:"user"`     // all, +role, or names
	Address  string `json:"address"`  // all, or a network
	Method   string `json:"method"`   // cert-scram-sha-256 | scram-sha-256 | cert | reject | trust
	Options  string `json:"options"`
}

// NewHostRule makes a HostRule.
func NewHostRule(r *adminpb.HostRule) HostRule {
	return HostRule{Line: r.GetLine(), Type: r.GetType(), Database: r.GetDatabase(), User: r.GetUser(), Address: r.GetAddress(), Method: r.GetMethod(), Options: r.GetOptions()}
}

// HostTest is the kind HostTest: what the host rules say of a login.
type HostTest struct {
	User        string    `json:"user"`
	Database    string    `json:"database"`
	Address     string    `json:"address"`
	Certificate bool      `json:"certificate"` // the client shows one
	Rule        *HostRule `json:"rule"`        // that decides; null: none is about the login
	Outcome     string    `json:"outcome"`     // refused | password | certificate | certificate and password | nothing
	Message     string    `json:"message"`     // of a refusal
}
