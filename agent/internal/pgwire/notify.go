package pgwire

import (
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

// maxNotified bounds the bytes of notifications that wait for one client, which does not
// take them while it is in a transaction.
const maxNotified = 16 << 20

// notifications wait until their client is told of them: when it is in no transaction.
type notifications struct {
	mu    sync.Mutex
	conn  *conn
	list  []sql.Notification
	bytes int
	lost  bool
}

// add takes one more, and wakes the session if it waits for its client.
func (n *notifications) add(x sql.Notification) {
	n.mu.Lock()
	n.bytes += x.Size()
	if n.lost = n.lost || n.bytes > maxNotified; n.lost {
		n.list = nil
	} else {
		n.list = append(n.list, x)
	}
	lost := n.lost
	n.mu.Unlock()
	c := n.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if lost {
		if c.mu.ending == nil {
			c.endLocked(fatal("53400", "too many notifications wait for the session: it is ended rather than miss some"), true)
		}
		return
	}
	c.bounded = true
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // a closed socket fails when it is read
}

// take returns what waits.
func (n *notifications) take() []sql.Notification {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.list
	n.list = nil
	if !n.lost {
		n.bytes = 0
	}
	return out
}

// sendNotifications tells the client what it listens to, unless it is in a transaction. It
// reports whether there was something.
func (c *conn) sendNotifications() bool {
	if c.session.TxStatus() != txIdle {
		return false
	}
	list := c.notifications.take()
	for _, n := range list {
		c.out.send(&pgproto3.NotificationResponse{PID: n.PID, Channel: n.Channel, Payload: n.Payload})
	}
	return len(list) > 0
}
