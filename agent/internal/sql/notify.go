package sql

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Notification is what NOTIFY tells those who listen on a channel of a database (ADR 0060).
type Notification struct {
	Database cluster.ObjectID `json:"database"`
	Channel  string           `json:"channel"`
	Payload  string           `json:"payload,omitempty"`
	PID      uint32           `json:"pid"` // of the session that has notified
}

// Size is about how many bytes it takes.
func (n *Notification) Size() int { return len(n.Channel) + len(n.Payload) + 64 }

// Notifier tells the other nodes what was notified, in that order, and does not block.
type Notifier interface{ Notify(list []Notification) }

// Bounds of names and payloads, as PostgreSQL has them.
const (
	maxChannel = 63
	maxPayload = 7999
	// maxNotifications and maxNotified bound what one transaction notifies, which its
	// session keeps until COMMIT: how often, and how many bytes.
	maxNotifications = 100_000
	maxNotified      = 16 << 20
)

// channelKey is a channel of a database.
type channelKey struct {
	database cluster.ObjectID
	name     string
}

// listeners are the sessions of a node that listen, by channel.
type listeners struct {
	mu       sync.Mutex
	sessions map[channelKey]map[*Session]struct{}
}

func (l *listeners) change(k channelKey, s *Session, listens bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !listens {
		if delete(l.sessions[k], s); len(l.sessions[k]) == 0 {
			delete(l.sessions, k)
		}
		return
	}
	if l.sessions == nil {
		l.sessions = map[channelKey]map[*Session]struct{}{}
	}
	if l.sessions[k] == nil {
		l.sessions[k] = map[*Session]struct{}{}
	}
	l.sessions[k][s] = struct{}{}
}

// Deliver gives notifications to the sessions of this node that listen.
func (s *Server) Deliver(list []Notification) {
	s.listening.mu.Lock()
	defer s.listening.mu.Unlock()
	for _, n := range list {
		for x := range s.listening.sessions[channelKey{n.Database, n.Channel}] {
			if x.options.OnNotification != nil {
				x.options.OnNotification(n)
			}
		}
	}
}

// notifying is what the session listens to, and what its transaction has said of that and
// notified. It counts from COMMIT on.
type notifying struct {
	channels map[string]bool
	said     []syntax.Listen
	list     []Notification
	seen     map[Notification]bool
	bytes    int // of list
}

// marked are how much a transaction had said.
type marked struct{ said, list int }

func (n *notifying) mark() marked { return marked{len(n.said), len(n.list)} }

func (n *notifying) backTo(m marked) {
	for _, x := range n.list[min(m.list, len(n.list)):] {
		delete(n.seen, x)
		n.bytes -= x.Size()
	}
	n.said, n.list = n.said[:min(m.said, len(n.said))], n.list[:min(m.list, len(n.list))]
}

// listen runs LISTEN and UNLISTEN.
func (s *Session) listen(node *syntax.Listen) (string, error) {
	if s.options.OnNotification == nil && !node.Stop {
		return "", syntax.Unsupported("LISTEN without a client", "")
	}
	s.notifying.said = append(s.notifying.said, *node)
	if node.Stop {
		return "UNLISTEN", nil
	}
	return "LISTEN", nil
}

// notify notes what COMMIT is to tell. What was notified before, word by word, is told once.
func (s *Session) notify(channel, payload string) error {
	switch {
	case channel == "":
		return &Error{Code: "22023", Message: "channel name cannot be empty"}
	case len(channel) > maxChannel:
		return &Error{Code: "22023", Message: "channel name too long"}
	case len(payload) > maxPayload:
		return &Error{Code: "22023", Message: "payload string too long"}
	}
	note := Notification{Database: s.database, Channel: channel, Payload: payload, PID: s.options.PID}
	n := &s.notifying
	if n.seen[note] {
		return nil
	}
	switch {
	case len(n.list) >= maxNotifications:
		return &Error{Code: "54000", Message: fmt.Sprintf("a transaction may notify at most %d times", maxNotifications)}
	case n.bytes+note.Size() > maxNotified:
		return &Error{Code: "54000", Message: fmt.Sprintf("a transaction may notify at most %d MiB", maxNotified>>20)}
	}
	if n.seen == nil {
		n.seen = map[Notification]bool{}
	}
	n.seen[note] = true
	n.list, n.bytes = append(n.list, note), n.bytes+note.Size()
	return nil
}

// settleNotifying has what was said count, or come to nothing.
func (s *Session) settleNotifying(committed bool) {
	n := &s.notifying
	said, list := n.said, n.list
	if n.said, n.list, n.seen, n.bytes = nil, nil, nil, 0; !committed && !s.server.cfg.Planted.tellsUndone() {
		return
	}
	for _, x := range said {
		switch {
		case !x.Stop:
			if n.channels == nil {
				n.channels = map[string]bool{}
			}
			n.channels[x.Channel] = true
			s.server.listening.change(channelKey{s.database, x.Channel}, s, true)
		case x.Channel == "":
			s.unlisten()
		default:
			delete(n.channels, x.Channel)
			s.server.listening.change(channelKey{s.database, x.Channel}, s, false)
		}
	}
	if len(list) == 0 {
		return
	}
	s.server.Deliver(list)
	if s.server.cfg.Notifier != nil {
		s.server.cfg.Notifier.Notify(slices.Clone(list))
	}
}

// channels are those that the session listens to.
func (s *Session) channels() []string { return slices.Sorted(maps.Keys(s.notifying.channels)) }

// unlisten ends all listening.
func (s *Session) unlisten() {
	for name := range s.notifying.channels {
		s.server.listening.change(channelKey{s.database, name}, s, false)
	}
	s.notifying.channels = nil
}
