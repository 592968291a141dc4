package root

import (
	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// details are the verbs that show one of a noun, by the noun; "show" for others.
var details = map[string]string{"members": "why"}

// plurals are what the aliases call nouns that have no verbs of their own.
var plurals = map[string][]string{
	"plans": {"rebalance", "plans"}, "plan": {"rebalance", "show"}, "certs": {"cert", "show"}, "certificates": {"cert", "show"},
}

// newAliases makes get and describe, which those who know other tools type: they
// are the verbs ls and show of a noun. Their command lines are rewritten before
// they are run, see unalias.
func newAliases() []*cobra.Command {
	var out []*cobra.Command
	for _, x := range []struct{ name, short string }{
		{"get", "List a noun, or show one: the same as NOUN ls and NOUN show"}, {"describe", "Show one of a noun, or list it: the same as NOUN show and NOUN ls"},
	} {
		out = append(out, &cobra.Command{
			Use: x.name + " NOUN [NAME]", Short: x.short, DisableFlagParsing: true,
			RunE: func(c *cobra.Command, _ []string) error {
				return &ctl.Error{Code: ctl.Usage, Message: c.CommandPath() + " needs a noun", Next: []string{"nodedbctl get nodes", "nodedbctl describe range r2", "nodedbctl --help"}}
			},
		})
	}
	return out
}

// unalias turns "get nodes n1 -o json" into "nodes show n1 -o json"; other command
// lines stay as they are.
func unalias(args []string) []string {
	probe := New(&ctl.Env{Term: &term.Streams{}})
	alias, rest, err := probe.Find(args)
	if err != nil || alias.Name() != "get" && alias.Name() != "describe" {
		return args
	}
	for i, a := range rest {
		if plural := plurals[a]; plural != nil {
			return append(append(append([]string{}, rest[:i]...), plural...), rest[i+1:]...)
		}
	}
	noun, flags, err := probe.Find(rest)
	if err != nil || noun == probe || noun.Parent() != probe || !noun.HasSubCommands() {
		if err == nil && noun == probe {
			return args // no noun: the alias says so
		}
		return rest
	}
	verb := details[noun.Name()]
	if verb == "" {
		verb = "show"
	}
	if noun.ParseFlags(flags) != nil || noun.Flags().NArg() == 0 {
		verb = "ls"
	}
	if child, _, err := noun.Find([]string{verb}); err != nil || child == noun {
		return rest
	}
	for i, a := range rest {
		if a == noun.Name() || noun.HasAlias(a) {
			return append(append(append([]string{}, rest[:i+1]...), verb), rest[i+1:]...)
		}
	}
	return rest
}
