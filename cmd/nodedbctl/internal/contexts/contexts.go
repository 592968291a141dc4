// Package contexts is the noun "context": which clusters the command knows, and
// which it talks to.
package contexts

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command context.
func New(e *ctl.Env) *cobra.Command {
	run := func(*cobra.Command, []string) error { return list(e) }
	c := &cobra.Command{Use: "context", Aliases: []string{"contexts"}, Short: "List, choose, add and remove contexts: the clusters you know", Args: cobra.NoArgs, RunE: run}
	c.AddCommand(
		&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List contexts", Args: cobra.NoArgs, RunE: run},
		&cobra.Command{Use: "use NAME", Short: "Make a context the current one", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return use(e, args[0]) }},
		newAdd(e),
		&cobra.Command{Use: "rm NAME", Short: "Remove a context; its files stay", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return remove(e, args[0]) }},
		&cobra.Command{Use: "current", Short: "Print the name of the context that is used", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return current(e) }},
		&cobra.Command{Use: "show [NAME]", Short: "Show a context", Args: cobra.MaximumNArgs(1), RunE: func(_ *cobra.Command, args []string) error { return show(e, args) }},
	)
	return c
}

func newItem(f *client.File, c client.Context) view.Context {
	user, err := c.User()
	if err != nil {
		user = "" // the certificate is missing or broken: dialling says so
	}
	known := slices.DeleteFunc(slices.Clone(c.Known), func(a string) bool { return slices.Contains(c.Addrs, a) })
	if known == nil {
		known = []string{}
	}
	return view.Context{
		Name: c.Name, Current: c.Name == f.Current, Addrs: c.Addrs, Known: known, User: user, CA: c.CA, Cert: c.Cert, Key: c.Key,
		TokenFile: c.TokenFile, Protected: c.Protected,
	}
}

func list(e *ctl.Env) error {
	f, err := e.File()
	if err != nil {
		return err
	}
	l := render.List[view.Context]{
		Kind: "ContextList", Meta: localMeta(e), Name: func(i view.Context) string { return i.Name }, Empty: "no context in " + f.Path(),
		Columns: []render.Column[view.Context]{
			{Head: "CURRENT", Key: "current", Cell: func(i view.Context) string { return map[bool]string{true: "*", false: ""}[i.Current] }},
			{Head: "NAME", Key: "name", Cell: func(i view.Context) string { return i.Name }},
			{Head: "ADDRS", Cell: func(i view.Context) string { return strings.Join(i.Addrs, ",") }},
			{Head: "USER", Key: "user", Cell: func(i view.Context) string { return render.Or(i.User) }},
			{Head: "PROTECTED", Key: "protected", Cell: func(i view.Context) string { return map[bool]string{true: "yes", false: "no"}[i.Protected] }},
		},
	}
	for _, name := range f.Names() {
		c, err := f.Select(name)
		if err != nil {
			return err
		}
		l.Items = append(l.Items, newItem(f, c))
	}
	return l.Print(e.Term, e.Flags.Output)
}

func localMeta(e *ctl.Env) render.Meta {
	return render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}}
}

func show(e *ctl.Env, args []string) error {
	f, err := e.File()
	if err != nil {
		return err
	}
	name := e.Flags.Context
	if len(args) > 0 {
		name = args[0]
	}
	c, err := f.Select(name)
	if err != nil {
		return ctl.NoContext(f, name, ctl.NotFound)
	}
	v := newItem(f, c)
	one := render.One[view.Context]{
		Kind: "Context", Meta: localMeta(e), Item: v, Name: v.Name,
		Text: func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "name       %s\nfile       %s\naddrs      %s\nknown      %s\nuser       %s\nca         %s\ncert       %s\nkey        %s\ntoken file %s\nprotected  %t\n",
				v.Name, f.Path(), strings.Join(v.Addrs, ", "), render.Or(strings.Join(v.Known, ", ")), render.Or(v.User), render.Or(v.CA), render.Or(v.Cert), render.Or(v.Key), render.Or(v.TokenFile), v.Protected)
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

// current prints the context that a command without --context would use.
func current(e *ctl.Env) error {
	c, err := e.Context()
	if err != nil {
		return err
	}
	f, err := e.File()
	if err != nil {
		return err
	}
	v := newItem(f, c)
	one := render.One[view.Context]{Kind: "Context", Meta: localMeta(e), Item: v, Name: v.Name, Text: func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v.Name)
		return err
	}}
	return one.Print(e.Term, e.Flags.Output)
}

func use(e *ctl.Env, name string) error {
	f, err := e.File()
	if err != nil {
		return err
	}
	if _, err := f.Select(name); err != nil {
		return ctl.NoContext(f, name, ctl.NotFound)
	}
	f.Current = name
	if err := f.Write(); err != nil {
		return err
	}
	e.Term.Say("context %q is the current one", name)
	return nil
}

func remove(e *ctl.Env, name string) error {
	f, err := e.File()
	if err != nil {
		return err
	}
	if !f.Remove(name) {
		return ctl.NoContext(f, name, ctl.NotFound)
	}
	if err := f.Write(); err != nil {
		return err
	}
	e.Term.Say("context %q is removed; its files stay", name)
	return nil
}

type addOptions struct{ protected, discover bool }

func newAdd(e *ctl.Env) *cobra.Command {
	var o addOptions
	c := &cobra.Command{
		Use: "add NAME --addr HOST:PORT[,...] --ca FILE (--cert FILE --key FILE | --token-file FILE)", Short: "Add or replace a context", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return add(cmd.Context(), e, args[0], o) },
	}
	c.Flags().BoolVar(&o.discover, "discover", false, "ask the node at --addr for the others, and put them into the context")
	c.Flags().BoolVar(&o.protected, "protected", false, "refuse --yes: each plan is confirmed by its id")
	return c
}

func add(ctx context.Context, e *ctl.Env, name string, o addOptions) error {
	f, err := e.File()
	if err != nil {
		return err
	}
	g := &e.Flags
	if len(g.Addr) == 0 {
		return ctl.Usagef("--addr is needed")
	}
	c := client.Context{Name: name, Addrs: g.Addr, CA: g.CA, Cert: g.Cert, Key: g.Key, TokenFile: g.TokenFile, Protected: o.protected}
	for _, p := range []*string{&c.CA, &c.Cert, &c.Key, &c.TokenFile} {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	cl, err := client.Dial(c) // reads the files, reaches for nobody
	if err != nil {
		return ctl.Usagef("%v", err)
	}
	defer cl.Close()
	if o.discover {
		call, cancel := e.Call(ctx)
		defer cancel()
		if _, err := cl.ListNodes(call, &adminpb.ListNodesRequest{NodeTimeout: e.NodeTimeout()}); err != nil {
			return err
		}
		for _, a := range cl.Cluster().Addrs {
			if !slices.Contains(c.Addrs, a) {
				c.Addrs = append(c.Addrs, a)
			}
		}
	}
	f.Put(c)
	if err := f.Write(); err != nil {
		return err
	}
	e.Term.Say("context %q is in %s: %s", name, f.Path(), strings.Join(c.Addrs, ", "))
	return nil
}
