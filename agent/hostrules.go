package agent

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
)

// hostRules are the rules of a text, read once for many logins.
type hostRules struct {
	text  string
	rules cluster.HostRules
}

// admitSQL says by the newest host rules that this node knows how a client of SQL has to prove
// who it is.
func (n *Node) admitSQL(k pgwire.Knock) pgwire.Admission {
	view := n.machine.View()
	text := view.Settings[metastate.SettingHBA]
	read := n.hostRules.Load()
	if read == nil || read.text != text {
		read = &hostRules{text, view.Settings.HostRules()}
		n.hostRules.Store(read)
	}
	r := read.rules.Find(view.Knock(k.User, k.Database, k.Address))
	if r == nil {
		return pgwire.Admission{}
	}
	want := r.Wants(k.Certificate)
	return pgwire.Admission{Found: true, Reject: want.Reject, Certificate: want.Certificate, Password: want.Password}
}
