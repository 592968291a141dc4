package metastate

import "context"

// Actor is the authenticated person or script on whose behalf a command is
// proposed.
type Actor struct {
	By        string // the user
	Via       string // ViaAdmin or ViaSQL
	TokenID   string // the bearer token, if one was used
	RequestID string
	Source    string // address that the request came from
}

// What a command came through. Through the first two, people ask: what they may
// is checked when the command is applied, and all of it is audited.
const (
	ViaAdmin     = "admin"
	ViaSQL       = "sql"
	ViaAgent     = "agent"     // a node, for itself or for the operator at its console
	ViaOperation = "operation" // the coordinator of an operation
	ViaJoin      = "join"      // a node that joins, with its join token
)

type actorKey struct{}

// WithActor says on whose behalf the commands are that are proposed with ctx.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// WithoutActor is for what the node itself says while it serves somebody.
func WithoutActor(ctx context.Context) context.Context {
	return context.WithValue(ctx, actorKey{}, nil)
}

// ActorOf returns what WithActor said.
func ActorOf(ctx context.Context) (a Actor, ok bool) {
	a, ok = ctx.Value(actorKey{}).(Actor)
	return a, ok
}

// Stamp puts the actor of ctx into the command. Without one nobody was
// authenticated: then it is the node itself that asks, whatever By says.
func (cmd *Command) Stamp(ctx context.Context) {
	a, ok := ActorOf(ctx)
	switch {
	case ok:
		cmd.By, cmd.Via, cmd.TokenID, cmd.RequestID, cmd.Source = a.By, a.Via, a.TokenID, a.RequestID, a.Source
	case cmd.Via == ViaAdmin:
		cmd.Via = ViaAgent
	}
}
