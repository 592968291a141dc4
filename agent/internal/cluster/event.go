package cluster

import (
	"strings"
	"time"
)

// EventKind is what happened, noun first: node.suspect. Kinds are only added.
type EventKind string

// The kinds that follow from the meta range's own commands.
const (
	EventClusterCreated      EventKind = "cluster.created"
	EventNodeJoining         EventKind = "node.joining"
	EventNodeActive          EventKind = "node.active"
	EventNodeStarted         EventKind = "node.started"
	EventNodeReset           EventKind = "node.reset"
	EventNodeCordoned        EventKind = "node.cordoned"
	EventNodeUncordoned      EventKind = "node.uncordoned"
	EventNodeDecommissioning EventKind = "node.decommissioning"
	EventNodeRecommissioned  EventKind = "node.recommissioned"
	EventNodeDecommissioned  EventKind = "node.decommissioned"
	EventRangeCreated        EventKind = "range.created"
	EventRangeMoved          EventKind = "range.moved"
	EventRangeGrown          EventKind = "range.grown"
	EventRangeShrunk         EventKind = "range.shrunk"
	EventRangeSplit          EventKind = "range.split"
	EventOperationCreated    EventKind = "operation.created"
	EventOperationPhase      EventKind = "operation.phase"
	EventOperationLimited    EventKind = "operation.limited"
	EventCollectionCreated   EventKind = "collection.created"
	EventCollectionDropped   EventKind = "collection.dropped"
	EventCollectionFreed     EventKind = "collection.freed"
	EventObjectCreated       EventKind = "object.created"
	EventObjectChanged       EventKind = "object.changed"
	EventObjectDropped       EventKind = "object.dropped"
	EventPoolCreated         EventKind = "pool.created"
	EventPoolReady           EventKind = "pool.ready"
	EventPoolAltered         EventKind = "pool.altered"
	EventPoolDropped         EventKind = "pool.dropped"
	EventTokenCreated        EventKind = "token.created"
	EventTokenRevoked        EventKind = "token.revoked"
	EventUserChanged         EventKind = "user.changed"
	EventUserDropped         EventKind = "user.dropped"
	EventCertificateIssued   EventKind = "certificate.issued"
	EventCertificateRevoked  EventKind = "certificate.revoked"
	EventCAKeyMoved          EventKind = "ca-key.moved"
	EventCARotated           EventKind = "ca.rotated"
	EventGossipKeyRotated    EventKind = "gossip.rotated"
	EventSettingChanged      EventKind = "setting.changed"
	EventVersionRaised       EventKind = "version.raised"
	EventStatementCancelled  EventKind = "statement.cancelled"
	EventSessionTerminated   EventKind = "session.terminated"
	EventScheduleFailed      EventKind = "schedule.failed"
	EventScheduleWell        EventKind = "schedule.well"
)

// AboutCredentials reports whether an event tells of users, tokens or
// certificates: only admins see those.
func (k EventKind) AboutCredentials() bool {
	about, _, _ := strings.Cut(string(k), ".")
	return about == "user" || about == "token" || about == "certificate" || about == "ca-key"
}

// EventOperation is the kind of an operation's change to a state: operation.running.
func EventOperation(s OperationState) EventKind { return EventKind("operation." + string(s)) }

// The kinds that the coordinator observes and proposes.
const (
	EventNodeAlive       EventKind = "node.alive"
	EventNodeSuspect     EventKind = "node.suspect"
	EventNodeDead        EventKind = "node.dead"
	EventNodeLeft        EventKind = "node.left"
	EventNodeService     EventKind = "node.service"
	EventReplicaFailed   EventKind = "replica.failed"
	EventRangeDiverged   EventKind = "range.diverged"
	EventBreakerOpen     EventKind = "breaker.open"
	EventBreakerClosed   EventKind = "breaker.closed"
	EventCoordinatorMove EventKind = "coordinator.changed"
)

// EventStoreBehind says that a node was refused, by the node in Source: its store
// is older than what it had told.
const EventStoreBehind EventKind = "store.behind"

// What a node says of its own disk.
const (
	EventDiskHung EventKind = "disk.hung"
	EventDiskSlow EventKind = "disk.slow"
	EventDiskWell EventKind = "disk.well"
	EventDiskFull EventKind = "disk.full"
	EventDiskRoom EventKind = "disk.room"
)

// EventVersionRefused says that a node was refused, by the node in Source: its
// binary does not run at the cluster's version.
const EventVersionRefused EventKind = "version.refused"

// EventClockStepped says that a machine's clock was set by more than nodes follow
// at once, or is back; EventClockAhead that a node has used timestamps ahead of its
// time, or that this is over.
const (
	EventClockStepped EventKind = "clock.stepped"
	EventClockAhead   EventKind = "clock.ahead"
)

// EventMemoryFull says that a node had no memory left for a part of its work.
const EventMemoryFull EventKind = "memory.full"

// EventStatementsRefused says that a node refused statements because too many waited.
const EventStatementsRefused EventKind = "statements.refused"

// EventLockWait says that a transaction of a node has waited long for a lock of another.
const EventLockWait EventKind = "lock.wait"

// EventSeverity is how much an event matters.
type EventSeverity string

// The severities.
const (
	SeverityInfo  EventSeverity = "info"
	SeverityWarn  EventSeverity = "warn"
	SeverityError EventSeverity = "error"
)

// Event is something that happened, in the order of the meta range.
type Event struct {
	// Sequence rises by one with each event of the cluster.
	Sequence  uint64            `json:"sequence"`
	Time      time.Time         `json:"time"`
	Kind      EventKind         `json:"kind"`
	Severity  EventSeverity     `json:"severity"`
	Text      string            `json:"text"`
	Node      NodeID            `json:"node,omitempty"`
	Range     RangeID           `json:"range,omitempty"`
	Operation string            `json:"operation,omitempty"`
	By        string            `json:"by,omitempty"`     // who caused it; empty: the cluster
	Source    NodeID            `json:"source,omitempty"` // who saw it; 0: the meta range itself
	Data      map[string]string `json:"data,omitempty"`
}
