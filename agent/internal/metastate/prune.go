package metastate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// What has ended is kept for a while, for who asks what became of it. Its audit records
// stay longer.
const (
	// keepEnded is how long: a month of audits.
	keepEnded = 30 * 24 * time.Hour
	// maxEndedKept bounds how much of a kind is kept for as long: the oldest go first. A
	// program that makes a token for each of its runs makes thousands in a month.
	maxEndedKept = 1000
	// maxTokens bounds the tokens of a kind that can be used.
	maxTokens = 10000
)

// Prune forgets what ended long ago: tokens, join tokens and client certificates, of nodes
// that were decommissioned all but that they were. Their numbers and identities stay
// forbidden for ever.
type Prune struct{}

// ended is something that has ended, and when.
type ended struct {
	key string
	at  time.Time
}

// due are the keys of those that need not be kept at now.
func due(all []ended, now time.Time) (keys []string) {
	slices.SortFunc(all, func(a, b ended) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.key, b.key)) })
	for i, e := range all {
		if i >= maxEndedKept || now.Sub(e.at) >= keepEnded {
			keys = append(keys, e.key)
		}
	}
	slices.Sort(keys)
	return keys
}

// EndedAt is when the token ended by now; zero: it has not.
func (t *Token) EndedAt(now time.Time) time.Time {
	return firstPast(now, t.RevokedAt, t.ExpiresAt)
}

// EndedAt is when the join token ended by now; zero: it has not. Who has joined with one
// that is used up, and got no answer, asks again with it.
func (t *JoinToken) EndedAt(now time.Time) time.Time {
	used := time.Time{}
	if n := len(t.Consumed); n >= t.Uses && n > 0 {
		used = t.Consumed[n-1].At
	}
	return firstPast(now, t.RevokedAt, t.ExpiresAt, used)
}

// firstPast is the earliest of times that is not after now; zero: none.
func firstPast(now time.Time, times ...time.Time) (first time.Time) {
	for _, at := range times {
		if !at.IsZero() && !at.After(now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// pruning is what Prune would take away.
type pruning struct {
	tokens, joinTokens, certificates []string
	nodes                            []cluster.NodeID
}

// pruning looks for what Prune takes away at now. A certificate that was revoked counts
// until it has expired, one that was made offline for ever: nobody knows when it expires.
func (v *View) pruning(now time.Time) (p pruning) {
	var tokens, joins, certs []ended
	for id, t := range v.Tokens {
		if at := t.EndedAt(now); !at.IsZero() {
			tokens = append(tokens, ended{id, at})
		}
	}
	for id, t := range v.JoinTokens {
		if at := t.EndedAt(now); !at.IsZero() {
			joins = append(joins, ended{id, at})
		}
	}
	for serial, cert := range v.Certificates {
		if at := firstPast(now, cert.ExpiresAt); !at.IsZero() {
			certs = append(certs, ended{serial, at})
		}
	}
	p.tokens, p.joinTokens, p.certificates = due(tokens, now), due(joins, now), due(certs, now)
	for _, id := range slices.Sorted(maps.Keys(v.Nodes)) {
		n := v.Nodes[id]
		if n.Membership != cluster.Decommissioned || n.Tombstone == nil || now.Sub(n.Tombstone.At) < keepEnded {
			continue
		}
		if *n != *stone(n) || v.LogHeads[id] != nil {
			p.nodes = append(p.nodes, id)
		}
	}
	return p
}

// stone is what is kept of a node that was decommissioned long ago: its number, its
// identity, and that it must never come back.
func stone(n *cluster.Node) *cluster.Node {
	return &cluster.Node{
		ID: n.ID, UUID: n.UUID, Name: n.Name, Version: n.Version, Supports: n.Supports, Membership: n.Membership, JoinedAt: n.JoinedAt, Tombstone: n.Tombstone,
	}
}

// Prunable reports whether Prune would take anything away at now.
func (v *View) Prunable(now time.Time) bool {
	p := v.pruning(now)
	return len(p.tokens)+len(p.joinTokens)+len(p.certificates)+len(p.nodes) > 0
}

func (c *change) prune() Result {
	p := c.view.pruning(c.now)
	c.forgetTokens(p.tokens)
	c.forgetJoinTokens(p.joinTokens)
	c.forgetCertificates(p.certificates)
	for _, id := range p.nodes {
		c.putNode(*stone(c.view.Nodes[id]))
		if c.view.LogHeads[id] != nil {
			delete(own(c, &c.view.LogHeads), id)
			c.erase(kindLogHead, idKey(uint64(id)))
		}
	}
	return Result{Existed: len(p.tokens)+len(p.joinTokens)+len(p.certificates)+len(p.nodes) == 0}
}

func (c *change) forgetTokens(ids []string) {
	for _, id := range ids {
		delete(own(c, &c.view.Tokens), id)
		c.erase(kindToken, []byte(id))
	}
}

func (c *change) forgetJoinTokens(ids []string) {
	for _, id := range ids {
		delete(own(c, &c.view.JoinTokens), id)
		c.erase(kindJoinToken, []byte(id))
	}
}

func (c *change) forgetCertificates(serials []string) {
	for _, serial := range serials {
		delete(own(c, &c.view.Certificates), serial)
		c.erase(kindCertificate, []byte(serial))
	}
}

// checkRoom refuses one more token of a kind, of which there are all.
func checkRoom(all, over int, what string) *Refusal {
	if all-over >= maxTokens {
		return refuse(CodeLimit, "there are %d %ss that can be used: revoke those that nobody needs", maxTokens, what)
	}
	return nil
}
