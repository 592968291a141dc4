package ctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// completeTimeout bounds what a press of Tab may cost; then nothing is offered.
const completeTimeout = 800 * time.Millisecond

// Candidates lists what may stand in one place of a command line, each as
// "word\tdescription".
type Candidates func(context.Context, *client.Client) ([]string, error)

// Live makes a completion of what the cluster knows now. Without a cluster it
// offers nothing and says nothing: a shell's prompt is no place for errors.
func (e *Env) Live(list Candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		e.Flags.Verbose, e.Term.Quiet = false, true
		c, err := e.Client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		words, err := list(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.DeleteFunc(words, func(w string) bool {
			word, _, _ := strings.Cut(w, "\t")
			return slices.Contains(args, word)
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

// nodeTimeout of a completion: a node that is away must not hold it up.
const completeNodeTimeout = 0.3

// completeMost bounds the ranges that a completion offers: nobody reads more.
const completeMost = 1000

// LiveNodes offers the ids of nodes.
func LiveNodes(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListNodes(ctx, &adminpb.ListNodesRequest{NodeTimeout: completeNodeTimeout})
	var out []string
	for _, n := range r.GetNodes() {
		out = append(out, render.Node(n.GetId())+"\t"+strings.TrimSpace(n.GetName()+" "+n.GetStatus()+" "+n.GetAddresses().GetAdmin()))
	}
	return out, err
}

// LiveRanges offers the ids of ranges.
func LiveRanges(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListRanges(ctx, &adminpb.ListRangesRequest{NodeTimeout: completeNodeTimeout, Limit: completeMost})
	var out []string
	for _, x := range r.GetRanges() {
		out = append(out, render.Range(x.GetId())+"\t"+x.GetState()+", leader "+render.Node(x.GetLeader()))
	}
	return out, err
}

// LivePools offers the names of pools.
func LivePools(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListPools(ctx, &adminpb.ListPoolsRequest{NodeTimeout: completeNodeTimeout})
	var out []string
	for _, p := range r.GetPools() {
		out = append(out, fmt.Sprintf("%s\t%s, %d replicas %s", p.GetName(), p.GetState(), p.GetReplicas(), p.GetConstraints()))
	}
	return out, err
}

// LiveOperations offers the ids of operations, those that run first.
func LiveOperations(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListOperations(ctx, &adminpb.ListOperationsRequest{All: true})
	os := r.GetOperations()
	slices.SortStableFunc(os, func(a, b *adminpb.Operation) int {
		order := map[bool]int{false: 0, true: 1}
		return order[client.Final(a.GetState())] - order[client.Final(b.GetState())]
	})
	var out []string
	for _, o := range os {
		out = append(out, o.GetId()+"\t"+o.GetSpec().GetKind()+" "+about(o)+", "+o.GetState())
	}
	return out, err
}

// LivePlans offers the ids of stored plans.
func LivePlans(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListPlans(ctx, &adminpb.ListPlansRequest{})
	var out []string
	for _, p := range r.GetPlans() {
		out = append(out, p.GetPlan().GetId()+"\t"+p.GetPlan().GetSpec().GetKind()+", "+p.GetState())
	}
	return out, err
}

// LiveTokens offers the ids of bearer tokens.
func LiveTokens(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListTokens(ctx, &adminpb.ListTokensRequest{})
	var out []string
	for _, t := range r.GetTokens() {
		out = append(out, t.GetId()+"\tof "+t.GetOwner())
	}
	return out, err
}

// LiveJoinTokens offers the ids of join tokens.
func LiveJoinTokens(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListJoinTokens(ctx, &adminpb.ListJoinTokensRequest{})
	var out []string
	for _, t := range r.GetTokens() {
		out = append(out, t.GetId()+"\tby "+t.GetCreatedBy())
	}
	return out, err
}

// ContextNames offers the contexts of the context file.
func (e *Env) ContextNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	f, err := e.File()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.Names(), cobra.ShellCompDirectiveNoFileComp
}

// Words offers fixed words.
func Words(words ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// AttachCompletion gives c and all below what their usage lines promise: the
// placeholder NODE completes nodes, RANGE ranges, OPERATION operations, PLAN
// plans. A command with a completion of its own keeps it.
func AttachCompletion(e *Env, c *cobra.Command) {
	for _, sub := range c.Commands() {
		AttachCompletion(e, sub)
	}
	attachFlags(e, c)
	if c.ValidArgsFunction != nil || len(c.ValidArgs) > 0 {
		return
	}
	places := placeholders(c)
	if len(places) == 0 {
		if !c.HasSubCommands() {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		return
	}
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		at := len(args)
		if at >= len(places) {
			if !places[len(places)-1].many {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			at = len(places) - 1
		}
		return e.completePlace(cmd, places[at].name)(cmd, args, toComplete)
	}
}

func (e *Env) completePlace(cmd *cobra.Command, place string) cobra.CompletionFunc {
	switch place {
	case "NODE":
		return e.Live(LiveNodes)
	case "RANGE":
		return e.Live(LiveRanges)
	case "POOL":
		return e.Live(LivePools)
	case "OPERATION", "OP":
		return e.Live(LiveOperations)
	case "PLAN":
		return e.Live(LivePlans)
	case "TOKEN":
		if strings.HasPrefix(cmd.Parent().Name(), "join") {
			return e.Live(LiveJoinTokens)
		}
		return e.Live(LiveTokens)
	case "NAME", "CONTEXT":
		if cmd.Parent().Name() == "context" && cmd.Name() != "add" {
			return e.ContextNames
		}
	}
	return cobra.NoFileCompletions
}

type place struct {
	name string
	many bool
}

// placeholders reads the arguments out of a usage line: "move RANGE --from NODE"
// has one, the flag's value is none.
func placeholders(c *cobra.Command) []place {
	words := strings.Fields(c.Use)[1:]
	var out []place
	for i, w := range words {
		if i > 0 && strings.HasPrefix(strings.TrimLeft(words[i-1], "[("), "-") {
			continue
		}
		w, _, _ = strings.Cut(strings.Trim(w, "[]()"), "|")
		name, many := strings.CutSuffix(w, "...")
		if name != "" && strings.ToUpper(name) == name && !strings.HasPrefix(name, "-") {
			out = append(out, place{strings.Trim(name, "[]()"), many})
		}
	}
	return out
}

// flagPlaces says what the values of flags are, by the flags' names.
var flagPlaces = map[string]string{
	"node": "NODE", "from": "NODE", "to": "NODE", "context": "CONTEXT", "pool": "POOL",
}

var flagWords = map[string][]string{
	"output":      {"table", "wide", "json", "jsonl", "yaml", "csv", "name", "template="},
	"on-deadline": {"stop", "force"},
	"for":         {"ready", "drained", "decommissioned", "dead", "safe-to-stop", "healthy", "balanced"},
	"role":        {"viewer", "operator", "admin"},
	"goal":        {"bytes", "load", "leaders"},
	"state":       {"healthy", "under", "over", "no-quorum", "moving", "electing", "unknown"},
}

func attachFlags(e *Env, c *cobra.Command) {
	flags := c.LocalFlags()
	for name, kind := range flagPlaces {
		if f := flags.Lookup(name); f == nil || f.Value.Type() == "bool" || name == "from" && !c.HasParent() {
			continue // the global --from is a file
		}
		complete := e.Live(LiveNodes)
		switch kind {
		case "CONTEXT":
			complete = e.ContextNames
		case "POOL":
			complete = e.Live(LivePools)
		}
		_ = c.RegisterFlagCompletionFunc(name, complete) // it has one of its own already: fine
	}
	for name, words := range flagWords {
		if flags.Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, Words(words...)) // as above
		}
	}
}

// about is what an operation works on.
func about(o *adminpb.Operation) string {
	if what := cmp.Or(o.GetSpec().GetPool(), o.GetSpec().GetTable()); what != "" {
		return what
	}
	return render.Nodes(o.GetSpec().GetNodes(), " ")
}
