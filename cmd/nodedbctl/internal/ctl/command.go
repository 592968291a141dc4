package ctl

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Invocation are the flags that say which cluster is meant, as this command line
// was given them.
func (g *Global) Invocation() client.Invocation {
	var v client.Invocation
	for _, f := range []struct{ name, value string }{
		{"context-file", g.ContextFile}, {"context", g.Context}, {"from", g.From}, {"addr", strings.Join(g.Addr, ",")}, {"token-file", g.TokenFile},
		{"cert", g.Cert}, {"key", g.Key}, {"ca", g.CA},
	} {
		if f.value != "" {
			v = append(v, "--"+f.name, f.value)
		}
	}
	return v
}

// notAgain are the flags that a command to run next does not repeat: whether to do
// it, and what its words say already.
var notAgain = []string{"dry-run", "yes", "confirm", "self", "show-blocked"}

// Again is the command line of words, the verb and its arguments, with the options
// that this command was given, and more. Which cluster is meant is added where it
// is printed.
func (e *Env) Again(words string, more ...string) string {
	parts := []string{"nodedbctl", words}
	if e.flags != nil {
		e.flags.VisitAll(func(f *pflag.Flag) {
			if !f.Changed || slices.Contains(notAgain, f.Name) || strings.Contains(words+" ", " --"+f.Name+" ") {
				return
			}
			parts = append(parts, flagWord(f))
		})
	}
	return strings.Join(append(parts, more...), " ")
}

// notAsked are the flags that do not change what is consented to.
var notAsked = append([]string{"reason", "idempotency-key", "detach", "queue"}, notAgain...)

// asked is what a person consents to: the words, and the value of each option.
func (e *Env) asked(words string) []string {
	out := []string{words}
	if e.flags != nil {
		e.flags.VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(notAsked, f.Name) {
				out = append(out, f.Name+"="+f.Value.String())
			}
		})
	}
	return out
}

// clusterID is the id of the cluster that answers.
func (e *Env) clusterID(ctx context.Context) (string, error) {
	c, err := e.Client()
	if err != nil {
		return "", err
	}
	if id := c.Cluster().ID; id != "" {
		return id, nil
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.ListNodes(call, &adminpb.ListNodesRequest{NodeTimeout: completeNodeTimeout})
	return r.GetAsOf().GetClusterId(), err
}

// flagWord writes a flag as it could have been typed.
func flagWord(f *pflag.Flag) string {
	value := f.Value.String()
	if list, ok := f.Value.(pflag.SliceValue); ok {
		value = strings.Join(list.GetSlice(), ",")
	}
	switch {
	case f.Value.Type() == "bool" && value == "true":
		return "--" + f.Name
	case f.Value.Type() == "bool":
		return "--" + f.Name + "=" + value
	}
	return "--" + f.Name + " " + client.ShellWord(value)
}
