package agent

import (
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
)

// hostRules keep the rules that are set, as they were read, for many logins.
type hostRules struct{ last atomic.Pointer[readRules] }

type readRules struct {
	text  string
	rules cluster.HostRules
}

// of returns the rules of settings.
func (h *hostRules) of(settings metastate.Settings, faults plantedFaults) cluster.HostRules {
	text := settings[metastate.SettingHBA]
	last := h.last.Load()
	if last == nil || last.text != text && !faults.staleRules() {
		last = &readRules{text, settings.HostRules()}
		h.last.Store(last)
	}
	return last.rules
}

// admitSQL says by the newest host rules that this node knows how a client of SQL has to prove
// who it is.
func (n *Node) admitSQL(k pgwire.Knock) pgwire.Admission {
	view := n.machine.View()
	r := n.hostRules.of(view.Settings, planted()).Find(view.Knock(k.User, k.Database, k.Address))
	if r == nil {
		return pgwire.Admission{}
	}
	want := r.Wants(k.Certificate)
	return pgwire.Admission{Found: true, Reject: want.Reject, Certificate: want.Certificate, Password: want.Password}
}
