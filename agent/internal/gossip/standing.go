package gossip

import (
	"maps"
	"regexp"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Standing is a node's liveness, since when, and what it comes from.
type Standing struct {
	Liveness cluster.Liveness
	Since    time.Time
	Cause    string
}

// Standings says of every node that was ever seen how it stands here.
func (g *Gossip) Standings() map[cluster.NodeID]Standing {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return maps.Clone(g.watch.mu.standing)
}

// hint is what memberlist last logged of a node.
type hint struct {
	text string
	at   time.Time
}

// hintLife is how long before a transition its cause may have been logged.
const hintLife = 10 * time.Second

// ofNode finds the name of a node in a line of memberlist's.
var ofNode = regexp.MustCompile(`n[0-9]+\.[0-9A-Za-z-]+`)

// heard remembers a line as the cause of the transition that it announces.
func (w *watcher) heard(line string, now time.Time) {
	id, _, ok := parseName(ofNode.FindString(line))
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.hints[id] = hint{line, now}
}

// stand notes a transition; w.mu is held.
func (w *watcher) stand(t Transition) {
	cause := map[cluster.Liveness]string{
		cluster.Alive: "it said so, or another node did", cluster.Suspect: "another node's accusation",
		cluster.Dead: "another node's word", cluster.Left: "it said goodbye",
	}[t.To]
	if h, ok := w.mu.hints[t.Node]; ok && t.At.Sub(h.at) < hintLife && (t.To == cluster.Suspect || t.To == cluster.Dead) {
		cause = h.text
	}
	delete(w.mu.hints, t.Node)
	w.mu.standing[t.Node] = Standing{Liveness: t.To, Since: t.At.UTC().Round(0), Cause: cause}
}
