// Package config is the noun "config": what the command goes by, and where each
// part of it comes from.
package config

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command config.
func New(e *ctl.Env) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Show what nodedbctl goes by"}
	c.AddCommand(&cobra.Command{
		Use: "view", Short: "Show the settings in force and where each comes from; never a secret", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return show(e, cmd) },
	})
	return c
}

func show(e *ctl.Env, cmd *cobra.Command) error {
	settings, err := collect(e, cmd)
	if err != nil {
		return err
	}
	l := render.List[view.Setting]{
		Kind: "SettingList", Items: settings, Name: func(s view.Setting) string { return s.Name + "=" + s.Value },
		Meta: render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}},
		Columns: []render.Column[view.Setting]{
			{Head: "SETTING", Key: "name", Cell: func(s view.Setting) string { return s.Name }},
			{Head: "VALUE", Key: "value", Cell: func(s view.Setting) string { return render.Or(s.Value) }},
			{Head: "FROM", Key: "source", Cell: func(s view.Setting) string { return s.Source }},
		},
	}
	return l.Print(e.Term, e.Flags.Output)
}

func collect(e *ctl.Env, cmd *cobra.Command) ([]view.Setting, error) {
	f, err := e.File()
	if err != nil {
		return nil, err
	}
	g := &e.Flags
	var out []view.Setting
	add := func(name, value, source string) {
		out = append(out, view.Setting{Name: name, Value: value, Source: source})
	}
	fileSource := "default"
	switch {
	case g.ContextFile != "":
		fileSource = "--context-file"
	case e.Getenv("NODEDBCTL_CONFIG") != "":
		fileSource = "NODEDBCTL_CONFIG"
	}
	add("contextFile", f.Path(), fileSource)
	name, nameSource := f.Current, "context file"
	switch {
	case g.Context != "":
		name, nameSource = g.Context, "--context"
	case e.Getenv("NODEDBCTL_CONTEXT") != "":
		name, nameSource = e.Getenv("NODEDBCTL_CONTEXT"), "NODEDBCTL_CONTEXT"
	}
	c, err := e.Context()
	if err != nil {
		return nil, err
	}
	if c.Name != "" {
		name = c.Name
	}
	add("context", name, nameSource)
	flag := func(name string) string {
		if cmd.Flags().Changed(name) {
			return "--" + name
		}
		return "context " + c.Name
	}
	user, err := c.User()
	if err != nil {
		user = "" // the certificate is missing or broken: dialling says so
	}
	add("addrs", strings.Join(c.Addrs, ","), flag("addr"))
	add("ca", c.CA, flag("ca"))
	add("cert", c.Cert, flag("cert"))
	add("key", c.Key, flag("key"))
	add("tokenFile", c.TokenFile, flag("token-file"))
	add("user", user, "certificate")
	add("sqlUser", c.SQLUser, "context "+c.Name)
	add("sqlPasswordFile", c.SQLPasswordFile, "context "+c.Name)
	add("protected", fmt.Sprint(c.Protected), "context "+c.Name)
	return append(out, ofFlags(e, cmd)...), nil
}

// ofFlags are the settings that only flags and the environment make.
func ofFlags(e *ctl.Env, cmd *cobra.Command) []view.Setting {
	var out []view.Setting
	for _, name := range []string{"output", "timeout", "node-timeout", "read-only", "strict", "quiet"} {
		fl := cmd.Flags().Lookup(name)
		source := "default"
		if fl.Changed {
			source = "--" + name
		}
		out = append(out, view.Setting{Name: name, Value: fl.Value.String(), Source: source})
	}
	colour, why := "on", "terminal"
	switch {
	case e.Flags.NoColor:
		colour, why = "off", "--no-color"
	case !e.Term.Color:
		colour, why = "off", "NO_COLOR or TERM=dumb"
	case !e.Term.OutTTY:
		colour, why = "off", "stdout is no terminal"
	}
	return append(out, view.Setting{Name: "colour", Value: colour, Source: why})
}
