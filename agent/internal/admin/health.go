package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
)

// healthReport is the answer of the health endpoints.
type healthReport struct {
	Node       string           `json:"node"`
	Cluster    string           `json:"cluster,omitempty"`
	Version    string           `json:"version"`
	Membership string           `json:"membership,omitempty"`
	Service    string           `json:"service"`
	Ready      bool             `json:"ready"`
	MetaIndex  uint64           `json:"metaIndex"`
	Problems   []health.Problem `json:"problems,omitempty"`
}

func (s *Server) report() healthReport {
	view, self := s.backend.View(), s.backend.Self()
	r := healthReport{
		Node: self.String(), Cluster: view.ClusterID, Version: s.backend.Version(),
		Service: string(s.backend.Service()), MetaIndex: view.Index, Problems: s.health.Problems(),
	}
	if n := view.Nodes[self]; n != nil {
		r.Membership = string(n.Membership)
	}
	r.Ready = !slices.ContainsFunc(r.Problems, func(p health.Problem) bool { return !p.Warning })
	if svc := s.backend.Service(); r.Ready && svc != cluster.Ready && svc != cluster.Cordoned {
		r.Ready, r.Problems = false, append(r.Problems, health.Problem{Component: "service", Code: string(svc)})
	}
	// What keeps traffic away comes first: scripts read the first code.
	slices.SortStableFunc(r.Problems, func(a, b health.Problem) int {
		switch {
		case a.Warning == b.Warning:
			return 0
		case b.Warning:
			return -1
		}
		return 1
	})
	return r
}

func (s *Server) serveLive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "live"})
}

// serveReady is 200 if the node should get traffic, else 503 with the reason.
func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	r := s.report()
	if !r.Ready {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": r.Problems[0].Code, "problems": r.Problems})
		return
	}
	answer := map[string]any{"status": "ready"}
	if len(r.Problems) > 0 {
		answer["warnings"] = r.Problems
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.report())
}

// serveDrain starts a drain of this node and says which operation does it. The
// caller watches /health or the operation; a drain is not done when this returns.
func (s *Server) serveDrain(w http.ResponseWriter, r *http.Request) {
	spec, err := drainSpec(r)
	if err == nil {
		err = checkSpec(&spec)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"code": "invalid_argument", "message": err.Error()})
		return
	}
	spec.Nodes = []cluster.NodeID{s.backend.Self()}
	by := caller(r.Context()).Name
	if by == "" {
		by = "local" // over the unix socket
	}
	op, err := s.backend.DrainSelf(r.Context(), spec, by)
	if err != nil {
		e := asError(err)
		if e == nil {
			e = &Error{Message: "internal error; the node's log says more"}
			s.logger.Error("drain of this node failed to start", "err", err)
		}
		writeJSON(w, httpStatus[wireKinds[e.Kind].code], map[string]any{"code": wireKinds[e.Kind].code.String(), "message": e.Message, "refusals": e.Refusals})
		return
	}
	writeJSON(w, http.StatusAccepted, map[string]string{"operation": op.ID, "state": string(op.State)})
}

func drainSpec(r *http.Request) (cluster.OperationSpec, error) {
	spec := cluster.OperationSpec{Kind: cluster.OpDrain}
	q := r.URL.Query()
	for name, to := range map[string]*float64{"deadline": &spec.Deadline, "lb-wait": &spec.LBWait, "txn-timeout": &spec.TxnTimeout} {
		if !q.Has(name) {
			continue
		}
		d, err := time.ParseDuration(q.Get(name))
		if err != nil {
			return spec, &Error{Kind: KindInvalid, Message: name + " must be a duration such as 30s"}
		}
		*to = d.Seconds()
	}
	if q.Has("shutdown") {
		b, err := strconv.ParseBool(q.Get("shutdown"))
		if err != nil {
			return spec, &Error{Kind: KindInvalid, Message: "shutdown must be true or false"}
		}
		spec.Shutdown = b
	}
	spec.OnDeadline = q.Get("on-deadline")
	return spec, nil
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the caller has gone: nothing to do
}
