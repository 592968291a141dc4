package sql

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// maxStatementHead bounds what is kept of a statement's text for the listing.
const maxStatementHead = 100

// activity is what others may see of a session.
type activity struct {
	mu struct {
		sync.Mutex
		cluster.Session
		copying *copyProgress
	}
}

// copyProgress is a cluster.CopyProgress that goes on.
type copyProgress struct {
	table                 cluster.ObjectID
	from                  bool
	bytes, rows, excluded atomic.Int64
}

// copies says that a COPY is carried out, nil: no more.
func (a *activity) copies(p *copyProgress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.copying = p
}

func (a *activity) start(node cluster.NodeID, o SessionOptions, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.Session = cluster.Session{
		Node: node, PID: o.PID, User: o.User, Application: o.ApplicationName, Client: o.Remote, State: cluster.SessionIdle, Since: at, Began: at,
	}
}

func (a *activity) setDatabase(id cluster.ObjectID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.Database = id
}

func (a *activity) setApplication(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.Application = name
}

// work says that a statement began.
func (a *activity) work(text string, at time.Time) {
	if len(text) > maxStatementHead {
		text = strings.ToValidUTF8(text[:maxStatementHead], "") + "..."
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.State, a.mu.Since, a.mu.Statement, a.mu.StatementAt = cluster.SessionActive, at, text, at
}

// rest says that the session waits for its client; transaction is when its
// transaction began, if it is in one, and isolation its level.
func (a *activity) rest(tx byte, at, transaction time.Time, isolation string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.Since, a.mu.TransactionAt, a.mu.Isolation = at, transaction, isolation
	switch tx {
	case 'T':
		a.mu.State = cluster.SessionInTransaction
	case 'E':
		a.mu.State = cluster.SessionAborted
	default:
		a.mu.State, a.mu.TransactionAt, a.mu.Isolation = cluster.SessionIdle, time.Time{}, ""
	}
}

func (a *activity) session() cluster.Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.mu.Session
	if p := a.mu.copying; p != nil {
		s.Copy = &cluster.CopyProgress{Table: p.table, From: p.from, Bytes: p.bytes.Load(), Rows: p.rows.Load(), Excluded: p.excluded.Load()}
	}
	return s
}
