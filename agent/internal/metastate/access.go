package metastate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// knownRoles are the admin roles, weakest first.
var knownRoles = []string{"viewer", "operator", "admin"}

func (c *change) createToken(in *CreateToken, by string) Result {
	if in.ID == "" || len(in.Hash) == 0 || !slices.Contains(knownRoles, in.Role) {
		return refused(CodeInvalid, "a token needs an id, a hash and one of the roles viewer, operator, admin")
	}
	if _, ok := c.view.Tokens[in.ID]; ok {
		return refused(CodeExists, "token %s already exists", in.ID)
	}
	over := 0
	for _, t := range c.view.Tokens {
		if !t.Valid(c.now) {
			over++
		}
	}
	if r := checkRoom(len(c.view.Tokens), over, "token"); r != nil {
		return Result{Refusal: r}
	}
	c.putToken(Token{
		ID: in.ID, Owner: in.Owner, Role: in.Role, Hash: in.Hash,
		CreatedAt: c.now, CreatedBy: by, ExpiresAt: in.ExpiresAt.UTC(),
	})
	c.event(cluster.Event{Kind: cluster.EventTokenCreated, Text: fmt.Sprintf("token %s of %s with the role %s was created", in.ID, in.Owner, in.Role)})
	return Result{}
}

func (c *change) revokeToken(in *RevokeToken) Result {
	t, ok := c.view.Tokens[in.ID]
	if !ok {
		return refused(CodeNotFound, "there is no token %s", in.ID)
	}
	if !t.RevokedAt.IsZero() {
		return Result{Existed: true}
	}
	revoked := *t
	revoked.RevokedAt = c.now
	c.putToken(revoked)
	c.event(cluster.Event{Kind: cluster.EventTokenRevoked, Severity: cluster.SeverityWarn, Text: fmt.Sprintf("token %s of %s was revoked", t.ID, t.Owner)})
	return Result{}
}

func (c *change) createJoinToken(in *CreateJoinToken, by string) Result {
	switch {
	case in.ID == "" || len(in.Hash) == 0:
		return refused(CodeInvalid, "a join token needs an id and a hash")
	case in.Uses < 1 || in.Uses > 1000:
		return refused(CodeInvalid, "a join token is good for 1 to 1000 nodes, not %d", in.Uses)
	case !c.now.Before(in.ExpiresAt):
		return refused(CodeInvalid, "a join token must expire in the future")
	}
	if _, ok := c.view.JoinTokens[in.ID]; ok {
		return refused(CodeExists, "join token %s already exists", in.ID)
	}
	over := 0
	for _, t := range c.view.JoinTokens {
		if !t.EndedAt(c.now).IsZero() {
			over++
		}
	}
	if r := checkRoom(len(c.view.JoinTokens), over, "join token"); r != nil {
		return Result{Refusal: r}
	}
	if in.Node != "" {
		if r := c.checkName(in.Node); r != nil {
			return Result{Refusal: r}
		}
	}
	c.putJoinToken(JoinToken{
		ID: in.ID, Hash: in.Hash, Node: in.Node, Uses: in.Uses,
		CreatedAt: c.now, CreatedBy: by, ExpiresAt: in.ExpiresAt.UTC(),
	})
	c.event(cluster.Event{Kind: cluster.EventTokenCreated, Text: fmt.Sprintf("join token %s for %d nodes was created", in.ID, in.Uses)})
	return Result{}
}

func (c *change) revokeJoinToken(in *RevokeJoinToken) Result {
	t, ok := c.view.JoinTokens[in.ID]
	if !ok {
		return refused(CodeNotFound, "there is no join token %s", in.ID)
	}
	if !t.RevokedAt.IsZero() {
		return Result{Existed: true}
	}
	revoked := *t
	revoked.RevokedAt = c.now
	c.putJoinToken(revoked)
	c.event(cluster.Event{Kind: cluster.EventTokenRevoked, Text: fmt.Sprintf("join token %s was revoked", t.ID)})
	return Result{}
}

func (c *change) replaceUser(in *PutUser) Result {
	if in.Name == "" || len(in.Name) > 63 {
		return refused(CodeInvalid, "a user needs a name of 1 to 63 bytes")
	}
	if in.AdminRole != "" && !slices.Contains(knownRoles, in.AdminRole) {
		return refused(CodeInvalid, "the admin role must be viewer, operator or admin, not %q", in.AdminRole)
	}
	u := User{Name: in.Name}
	old, existed := c.view.Users[in.Name]
	if existed {
		u = *old
	}
	u.Verifier, u.AdminRole, u.ChangedAt = in.Verifier, in.AdminRole, c.now
	c.putUser(u)
	c.event(cluster.Event{Kind: cluster.EventUserChanged, Text: fmt.Sprintf("user %s was created or changed", in.Name)})
	return Result{Existed: existed}
}

func (c *change) removeUser(in *DropUser) Result {
	if _, ok := c.view.Users[in.Name]; !ok {
		if in.IfExists {
			return Result{Existed: true}
		}
		return refused(CodeNotFound, "there is no user %q", in.Name)
	}
	if c.view.Users[in.Name].AdminRole == lastAdmin && c.admins(in.Name) == 0 {
		return refused(CodeConflict, "%q is the last admin", in.Name)
	}
	if c.mentioned(in.Name) {
		return refused(CodeReferenced, "role %q cannot be dropped because some objects depend on it", in.Name)
	}
	c.forgetMembers(in.Name)
	c.dropUser(in.Name)
	c.event(cluster.Event{Kind: cluster.EventUserDropped, Text: fmt.Sprintf("user %s was dropped", in.Name)})
	c.revokeAll(in.Name)
	return Result{}
}

// revokeAll ends the tokens and certificates of a user that is gone: the next one
// of that name is somebody else.
func (c *change) revokeAll(user string) {
	for _, id := range sortedKeys(c.view.Tokens) {
		if t := c.view.Tokens[id]; t.Owner == user && t.Valid(c.now) {
			c.revokeToken(&RevokeToken{ID: id})
		}
	}
	for _, serial := range sortedKeys(c.view.Certificates) {
		if cert := c.view.Certificates[serial]; cert.User == user && cert.RevokedAt.IsZero() {
			c.revokeCertificate(&RevokeCertificate{Serial: serial, Reason: "the user was dropped"})
		}
	}
}

func (c *change) changeUser(in *ChangeUser) Result {
	if in.Name == "" || len(in.Name) > 63 {
		return refused(CodeInvalid, "a user needs a name of 1 to 63 bytes")
	}
	if in.AdminRole != nil && *in.AdminRole != "" && !slices.Contains(knownRoles, *in.AdminRole) {
		return refused(CodeInvalid, "the admin role must be viewer, operator or admin, not %q", *in.AdminRole)
	}
	u, existed := User{Name: in.Name}, false
	if old, ok := c.view.Users[in.Name]; ok {
		u, existed = *old, true
	}
	switch {
	case in.Create && existed && in.IfNotExists:
		return Result{Existed: true}
	case in.Create && existed:
		return refused(CodeExists, "user %q already exists", in.Name)
	case !in.Create && !existed:
		return refused(CodeNotFound, "there is no user %q", in.Name)
	case in.From != nil && *in.From != u.AdminRole:
		return Result{Existed: true}
	}
	if in.Verifier != nil {
		u.Verifier = *in.Verifier
	}
	if limit := in.ConnectionLimit; limit != nil {
		switch {
		case *limit < -1:
			return refused(CodeInvalid, "invalid connection limit: %d", *limit)
		case *limit == -1:
			limit = nil
		}
		u.ConnectionLimit = limit
	}
	u.changeAttributes(in)
	if in.SessionSetting != nil {
		if r := u.changeSessionSetting(in.SessionSetting); r != nil {
			return Result{Refusal: r}
		}
	}
	if in.AdminRole != nil {
		if u.AdminRole == lastAdmin && *in.AdminRole != lastAdmin && c.admins(in.Name) == 0 {
			return refused(CodeConflict, "%q is the last admin", in.Name)
		}
		u.AdminRole = *in.AdminRole
	}
	u.ChangedAt = c.now
	c.putUser(u)
	c.event(cluster.Event{Kind: cluster.EventUserChanged, Text: fmt.Sprintf("user %s was created or changed", in.Name)})
	return Result{Existed: existed}
}

// What the sessions of a role, or of a database, begin with at most: each node has all of it
// in memory.
const (
	MaxSessionSettings     = 100
	MaxSessionSettingBytes = 4 << 10
)

// changeSessionSetting changes what sessions of the user begin with.
func (u *User) changeSessionSetting(in *SessionSetting) *Refusal {
	mine := maps.Clone(u.SessionSettings[in.Database])
	switch {
	case in.Name == "":
		mine = nil
	case in.Value == nil:
		delete(mine, in.Name)
	case len(in.Name)+len(*in.Value) > MaxSessionSettingBytes:
		return refuse(CodeInvalid, "a setting that sessions begin with may have %d bytes", MaxSessionSettingBytes)
	default:
		if mine == nil {
			mine = map[string]string{}
		}
		if mine[in.Name] = *in.Value; len(mine) > MaxSessionSettings {
			return refuse(CodeInvalid, "sessions may begin with %d settings", MaxSessionSettings)
		}
	}
	all := maps.Clone(u.SessionSettings)
	if all == nil {
		all = map[cluster.ObjectID]map[string]string{}
	}
	if all[in.Database] = mine; len(mine) == 0 {
		delete(all, in.Database)
	}
	u.SessionSettings = all
	return nil
}

// lastAdmin is the role that a cluster must have somebody for.
const lastAdmin = "admin"

// admins counts the admins other than except.
func (c *change) admins(except string) int {
	n := 0
	for name, u := range c.view.Users {
		if name != except && u.AdminRole == lastAdmin {
			n++
		}
	}
	return n
}

// maxLogChains bounds the chains of a node's log.
const maxLogChains = 8

// follows reports whether every chain has come at least as far as in old, and one
// of them further.
func (a *AnchorLog) follows(old *AnchorLog) bool {
	further := false
	for _, was := range old.Chains {
		i := slices.IndexFunc(a.Chains, func(l LogChain) bool { return l.Class == was.Class })
		if i < 0 || a.Chains[i].Last < was.Last || a.Chains[i].First < was.First {
			return false
		}
		further = further || a.Chains[i].Last > was.Last || a.Chains[i].First > was.First
	}
	return further || len(a.Chains) > len(old.Chains)
}

func (c *change) anchorLog(in *AnchorLog) Result {
	if _, ok := c.view.Nodes[in.Node]; !ok {
		return refused(CodeNotFound, "there is no node %s", in.Node)
	}
	if len(in.Chains) == 0 || len(in.Chains) > maxLogChains {
		return refused(CodeInvalid, "a log has 1 to %d chains, not %d", maxLogChains, len(in.Chains))
	}
	if old, ok := c.view.LogHeads[in.Node]; ok && !in.follows(old) {
		return refused(CodeStale, "the log of %s is anchored further on already", in.Node)
	}
	own(c, &c.view.LogHeads)[in.Node] = stage(c, kindLogHead, idKey(uint64(in.Node)), in)
	return Result{}
}
