// Package ctl is what every verb of the command shares: its environment, the
// global flags, exit codes, and how arguments name nodes, ranges and operations.
package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/offline"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// callTimeout bounds a single call when --timeout does not.
const callTimeout = 30 * time.Second

// Global are the flags that every verb takes.
type Global struct {
	Context     string
	ContextFile string
	Addr        []string
	TokenFile   string
	Cert        string
	Key         string
	CA          string
	Output      render.Options
	Watch       time.Duration
	Timeout     time.Duration
	NodeTimeout time.Duration
	Quiet       bool
	Verbose     bool
	NoColor     bool
	ReadOnly    bool
	Strict      bool
	From        string // a debug bundle to look at instead of a cluster
}

// Bind adds the flags.
func (g *Global) Bind(f *pflag.FlagSet) {
	f.StringVar(&g.Context, "context", "", "context to use instead of the current one")
	f.StringVar(&g.ContextFile, "context-file", "", "context file (default $NODEDBCTL_CONFIG, else the user's configuration directory)")
	f.StringSliceVar(&g.Addr, "addr", nil, "admin addresses host:port[,host:port], instead of the context's")
	f.StringVar(&g.TokenFile, "token-file", "", "file that holds a bearer token (mode 0600)")
	f.StringVar(&g.Cert, "cert", "", "client certificate file")
	f.StringVar(&g.Key, "key", "", "key file of --cert")
	f.StringVar(&g.CA, "ca", "", "file of the cluster's CA certificate")
	f.StringVarP(&g.Output.Format, "output", "o", "table", render.Formats)
	f.StringSliceVar(&g.Output.Columns, "columns", nil, "columns to show, in this order")
	f.StringVar(&g.Output.Sort, "sort", "", "[-]column to sort by")
	f.StringArrayVar(&g.Output.Filter, "filter", nil, "COLUMN=VALUE[,...] to show, as the table or as JSON has it; also != ~ !~ > >= < <=; given again, all must hold")
	f.BoolVar(&g.Output.NoHeaders, "no-headers", false, "no line of column heads")
	f.DurationVar(&g.Watch, "watch", 0, "show again each interval until Ctrl-C")
	f.Lookup("watch").NoOptDefVal = "2s"
	f.DurationVar(&g.Timeout, "timeout", 0, "give up after this time; an operation continues (default 30s for a single call, none for a wait)")
	f.DurationVar(&g.NodeTimeout, "node-timeout", 3*time.Second, "how long to wait for each node's own figures")
	f.BoolVar(&g.Quiet, "quiet", false, "no progress, no hints: data and errors only")
	f.BoolVarP(&g.Verbose, "verbose", "v", false, "say what is being done")
	f.BoolVar(&g.NoColor, "no-color", false, "no colour (also NO_COLOR, TERM=dumb)")
	f.BoolVar(&g.ReadOnly, "read-only", false, "refuse everything that changes something")
	f.BoolVar(&g.Strict, "strict", false, "exit 12 if some nodes did not answer")
	f.StringVar(&g.From, "from", "", "debug bundle to look at instead of a cluster (nodedbctl debug bundle makes one)")
}

// Env is what a verb runs in. Dialling happens on first use, so that --help and
// mistakes in flags need no cluster.
type Env struct {
	Term    *term.Streams
	Flags   Global
	Version string
	Now     func() time.Time
	Getenv  func(string) string

	client  *client.Client
	stored  *client.Context // what client was made of, if all of it is in the context file
	partial []uint32        // nodes that were missing in the last answer
	flags   *pflag.FlagSet  // of the verb alone, as they were given
}

// Prepare checks the global flags and makes them hold. verb are the flags of the
// verb alone.
func (e *Env) Prepare(verb *pflag.FlagSet) error {
	e.flags = verb
	e.Term.Commands = e.Flags.Invocation().Complete
	if err := e.Flags.Output.Check(); err != nil {
		return Usagef("%v", err)
	}
	if e.Flags.Watch < 0 || e.Flags.Timeout < 0 || e.Flags.NodeTimeout <= 0 {
		return Usagef("--watch, --timeout and --node-timeout must be positive")
	}
	e.Term.Quiet = e.Flags.Quiet
	if e.Flags.NoColor {
		e.Term.Color = false
	}
	return nil
}

// Close drops the client's connections. What it has learnt of the cluster's nodes
// is kept for the next one.
func (e *Env) Close() {
	if e.client == nil {
		return
	}
	if e.stored != nil {
		e.Remember(*e.stored, e.client)
	}
	e.client.Close()
}

// discoverTimeout bounds what the first command in a context may spend on asking
// for the other nodes.
const discoverTimeout = time.Second

// Discover asks who the other nodes are, if nobody has said so in this context
// yet. It is called after a success and is no matter if it fails.
func (e *Env) Discover(ctx context.Context) {
	if e.client == nil || e.stored == nil || len(e.stored.Known) > 0 || e.client.Cluster().ID != "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	if _, err := e.client.ListNodes(ctx, &adminpb.ListNodesRequest{NodeTimeout: completeNodeTimeout}); err != nil && e.Flags.Verbose {
		e.Term.Say("the other nodes are not known yet: %v", err)
	}
}

// Remember keeps what cl has learnt through c, a context of the context file. A
// file that cannot be written, such as a mounted secret, is none of the caller's
// business.
func (e *Env) Remember(c client.Context, cl *client.Client) {
	learnt := cl.Cluster()
	if learnt.ID == "" || slices.Equal(c.Known, learnt.Addrs) {
		return
	}
	f, err := e.File()
	if err == nil {
		err = f.Remember(c, learnt)
	}
	if err != nil && e.Flags.Verbose {
		e.Term.Say("what was learnt of the cluster is not kept: %v", err)
	}
}

// File reads the context file.
func (e *Env) File() (*client.File, error) {
	path := e.Flags.ContextFile
	if path == "" {
		path = e.Getenv("NODEDBCTL_CONFIG")
	}
	if path == "" {
		var err error
		switch path, err = client.DefaultPath(); {
		case err != nil && len(e.Flags.Addr) > 0:
			return &client.File{}, nil // a service has no home, and has said where to go
		case err != nil:
			return nil, &Error{Code: Usage, Message: err.Error() + ": give --context-file or NODEDBCTL_CONFIG", Err: err}
		}
	} else if _, err := os.Stat(path); err != nil && e.Flags.ContextFile != "" {
		return nil, Usagef("context file: %v", err)
	}
	f, err := client.ReadFile(path)
	if err != nil {
		return nil, &Error{Code: Usage, Message: err.Error(), Err: err}
	}
	return f, nil
}

// Context is the chosen context with the flags over it. With --addr, no context
// file is needed.
func (e *Env) Context() (client.Context, error) {
	if e.Flags.From != "" {
		return client.Context{Name: e.Flags.From}, nil
	}
	f, err := e.File()
	if err != nil {
		return client.Context{}, err
	}
	g := &e.Flags
	name := g.Context
	if name == "" {
		name = e.Getenv("NODEDBCTL_CONTEXT")
	}
	c, err := f.Select(name)
	if err != nil && (len(g.Addr) == 0 || name != "" || !errors.Is(err, client.ErrNoContext)) {
		return c, NoContext(f, name, Usage)
	}
	if len(g.Addr) > 0 {
		c.Addrs, c.Known = g.Addr, nil
	}
	for _, o := range []struct {
		flag string
		to   *string
	}{{g.CA, &c.CA}, {g.Cert, &c.Cert}, {g.Key, &c.Key}, {g.TokenFile, &c.TokenFile}} {
		if o.flag != "" {
			*o.to = o.flag
		}
	}
	if g.TokenFile != "" && g.Cert == "" {
		c.Cert, c.Key = "", "" // who asks for a token means only the token
	}
	return c, nil
}

// NoContext says that the file has no context called name, and which it has.
func NoContext(f *client.File, name string, code Exit) *Error {
	names := f.Names()
	e := &Error{Code: code, Err: client.ErrNoContext}
	switch {
	case len(names) == 0:
		e.Message = "no context in " + f.Path()
		e.Next = []string{
			"nodedbctl --context-file FILE ... (nodedb-agent init writes one: DATADIR/creds/context.yaml)",
			"nodedbctl context add NAME --addr HOST:PORT --ca FILE --cert FILE --key FILE",
		}
	case name == "":
		e.Message = fmt.Sprintf("no context of %s is the current one; it has %s", f.Path(), strings.Join(names, ", "))
		e.Next = []string{"nodedbctl context use " + names[0]}
	default:
		e.Message = fmt.Sprintf("no context %q in %s; it has %s", name, f.Path(), strings.Join(names, ", "))
		for _, near := range Nearest(name, names) {
			e.Next = append(e.Next, "--context "+near)
		}
		if len(e.Next) == 0 {
			e.Next = []string{"nodedbctl context ls"}
		}
	}
	return e
}

// Direct makes the client, which must not be there yet, keep to the addresses
// that were given: what is asked is about the node that answers.
func (e *Env) Direct() (*client.Client, error) {
	c, err := e.Context()
	if err != nil {
		return nil, err
	}
	c.Known = nil
	return e.dial(c)
}

// Client is the cluster's client.
func (e *Env) Client() (*client.Client, error) {
	if e.client != nil {
		return e.client, nil
	}
	if e.Flags.From != "" {
		return e.open(e.Flags.From)
	}
	c, err := e.Context()
	if err != nil {
		return nil, err
	}
	if g := &e.Flags; c.Name != "" && len(g.Addr) == 0 && g.CA == "" {
		e.stored = &c
	}
	return e.dial(c)
}

func (e *Env) dial(c client.Context) (*client.Client, error) {
	cl, err := client.Dial(c)
	if err != nil {
		return nil, &Error{Code: Usage, Message: err.Error(), Err: err}
	}
	e.client = cl
	cl.Invoked(e.Flags.Invocation())
	if e.Flags.Verbose {
		e.Term.Say("context %q, addresses %s", c.Name, strings.Join(c.Addrs, ", "))
		cl.Trace(func(path string, status int, took time.Duration) {
			e.Term.Say("%s %d in %s", path[strings.LastIndex(path, "/")+1:], status, took.Round(100*time.Microsecond))
		})
	}
	return cl, nil
}

// open makes the client of a debug bundle. Its time is now: what is said to be a
// minute old was so when it was collected.
func (e *Env) open(path string) (*client.Client, error) {
	b, err := offline.Open(path)
	if err != nil {
		return nil, &Error{Code: Usage, Message: err.Error(), Err: err}
	}
	made := b.Manifest.CreatedAt
	e.Term.Say("from %s, made %s (%s ago)", path, made.Format(time.RFC3339), render.Duration(e.Now().Sub(made)))
	e.Now = func() time.Time { return made }
	e.client = b.Client(path)
	return e.client, nil
}

// Call bounds the time of single calls.
func (e *Env) Call(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.Flags.Timeout > 0 {
		return context.WithTimeout(ctx, e.Flags.Timeout)
	}
	return context.WithTimeout(ctx, callTimeout)
}

// Wait bounds the time of a wait: without --timeout, not at all.
func (e *Env) Wait(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.Flags.Timeout > 0 {
		return context.WithTimeout(ctx, e.Flags.Timeout)
	}
	return context.WithCancel(ctx)
}

// NodeTimeout is --node-timeout in seconds.
func (e *Env) NodeTimeout() float64 { return e.Flags.NodeTimeout.Seconds() }

// Changing refuses a verb that changes something under --read-only.
func (e *Env) Changing() error {
	if e.Flags.ReadOnly {
		return &Error{Code: Denied, Message: "refused: --read-only is set"}
	}
	if e.Flags.From != "" {
		return &Error{Code: Denied, Message: "refused: --from looks at a bundle, which cannot be changed"}
	}
	return nil
}

// Whole is the exit code of an answer that lacks nodes, under --strict.
func (e *Env) Whole() error {
	if !e.Flags.Strict || len(e.partial) == 0 {
		return nil
	}
	return &Error{Code: Partial, Message: "no answer from " + render.Nodes(e.partial, ", "), Next: []string{"nodedbctl members", "--node-timeout 10s"}}
}

// Meta makes the head of an answer, and says on stderr when it is not whole.
func (e *Env) Meta(a *adminpb.AsOf) render.Meta {
	m := NewMeta(a)
	e.partial = m.Missing
	if !m.Complete && e.Flags.Output.Text() {
		e.Term.Say("incomplete: no answer from %s", render.Nodes(m.Missing, ", "))
	}
	return m
}

// Local is the head of an answer that is not a view of the cluster.
func (e *Env) Local() render.Meta {
	m := render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: e.Now().UTC()}}
	if e.client != nil {
		m.Cluster = e.client.Cluster().ID
	}
	return m
}

// NewMeta makes the head of an answer.
func NewMeta(a *adminpb.AsOf) render.Meta {
	name := a.GetClusterName()
	if name == "" {
		name = a.GetClusterId()
	}
	m := render.Meta{
		Cluster: name, AsOf: render.AsOf{MetaIndex: a.GetMetaIndex(), Time: a.GetTime().AsTime().UTC()},
		Complete: a.GetComplete(), Missing: a.GetMissing(),
	}
	if m.Missing == nil {
		m.Missing = []uint32{}
	}
	return m
}
