package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nodedb/nodedb/agent"
	"github.com/nodedb/nodedb/client/build"
)

type verb struct {
	name, summary string
	run           func(args []string, stdout, stderr io.Writer) error
}

func verbs() []verb {
	return []verb{
		{"init", "create a cluster: its first node, certificates and credentials; does not start", runInit},
		{"join", "make this directory a node of a running cluster; does not start", runJoin},
		{"start", "run the node until SIGTERM or SIGINT (drains, then stops; a second signal stops at once)", runStart},
		{"reset", "empty the store of a stopped node that lost what it had synced (exit code 74); keeps its identity", runReset},
		{"clock", "of a stopped node: from which time on its clock begins, and lower that if nothing in its store is above", runClock},
		{"drain", "drain --self: make the running node safe to stop, over its unix socket", runDrain},
		{"debug-local", "what the data directory of a stopped node holds; changes nothing (nodedbctl debug local shows it)", runDebugLocal},
		{"config", "config print: the configuration in force", runConfig},
		{"version", "print the version and what it was built from", runVersion},
	}
}

func usage(w io.Writer) {
	_, _ = fmt.Fprint(w, "nodedb-agent runs one node of a NodeDB cluster.\n\n")
	for _, v := range verbs() {
		_, _ = fmt.Fprintf(w, "  nodedb-agent %-11s %s\n", v.name, v.summary)
	}
	_, _ = fmt.Fprint(w, `
Run nodedb-agent COMMAND --help for its flags.

Exit codes: 0 clean stop, 1 unexpected error, 2 usage or configuration, 69 cannot
reach the cluster (join, reset), 73 data directory unusable, 74 the store lost what it
had synced, 78 decommissioned or wrong identity.
`)
}

// flags makes a flag set of one verb.
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet("nodedb-agent "+name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // a mistake is told in one sentence, by parse
	return f
}

// parse reads args. Help goes to stderr; a mistake is one sentence.
func parse(f *flag.FlagSet, args []string, stderr io.Writer) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintf(stderr, "%s: its flags are\n", f.Name())
			f.SetOutput(stderr)
			f.PrintDefaults()
			return err
		}
		text := strings.Replace(err.Error(), "flag provided but not defined: -", "unknown flag --", 1)
		return &agent.ExitError{Code: agent.ExitUsage, Message: fmt.Sprintf("%s (%s --help lists the flags)", text, f.Name())}
	}
	if f.NArg() > 0 {
		return &agent.ExitError{Code: agent.ExitUsage, Message: fmt.Sprintf("unexpected argument %q", f.Arg(0))}
	}
	return nil
}

// listenFlags adds the flags that node.yaml keeps.
func listenFlags(f *flag.FlagSet, c *agent.Config) {
	f.StringVar(&c.ListenSQL, "listen-sql", c.ListenSQL, "`host:port` for SQL clients")
	f.StringVar(&c.ListenRPC, "listen-rpc", c.ListenRPC, "`host:port` for other nodes")
	f.StringVar(&c.ListenGossip, "listen-gossip", c.ListenGossip, "`host:port` for gossip, UDP and TCP")
	f.StringVar(&c.ListenAdmin, "listen-admin", c.ListenAdmin, "`host:port` for the admin API, health and metrics")
	f.StringVar(&c.AdvertiseHost, "advertise-host", c.AdvertiseHost, "`host` under which other machines reach this one")
	f.StringVar(&c.Locality, "locality", c.Locality, "where the node is, e.g. `region=eu,zone=a`")
}

func runInit(args []string, stdout, stderr io.Writer) error {
	f := flags("init")
	cfg := agent.DefaultConfig("")
	cfg.Version = version
	var o agent.InitOptions
	f.StringVar(&cfg.DataDir, "data-dir", "", "`directory` of the node; made if it is not there")
	f.StringVar(&o.Name, "name", "n1", "`name` of the node")
	f.StringVar(&o.ClusterName, "cluster-name", "nodedb", "`name` of the cluster, shown to operators")
	f.IntVar(&o.Ranges, "ranges", agent.DefaultRanges, "how many data ranges it begins with, 1 to 1024: they split as they grow")
	f.IntVar(&o.Replicas, "replicas", 3, "replicas wanted of each range: 1, 3, 5 or 7")
	f.DurationVar(&o.DeadAfter, "dead-after", 0, "how long a node is dead before its replicas are re-created elsewhere (default 5m)")
	f.StringVar(&o.CredsDir, "creds-dir", "", "`directory` for the administrator's credentials (default DATA-DIR/creds)")
	f.StringVar(&cfg.CAKeyPassphraseFile, "ca-passphrase-file", "", "`file` (mode 0600) with a passphrase to encrypt the CA's key by; node.yaml names it from then on")
	listenFlags(f, &cfg)
	if err := parse(f, args, stderr); err != nil {
		return err
	}
	if p := cfg.CAKeyPassphraseFile; p != "" {
		abs, err := filepath.Abs(p)
		if err != nil {
			return err
		}
		cfg.CAKeyPassphraseFile = abs // the node may be started elsewhere
	}
	res, err := agent.Init(cfg, o)
	if err != nil {
		return err
	}
	// What is printed is pasted elsewhere.
	creds, err := filepath.Abs(res.CredsDir)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, `cluster %s (%s) is ready to start: its first node is %s in %s
start it     nodedb-agent start --data-dir %s
nodedbctl    export NODEDBCTL_CONFIG=%s
psql         psql "postgres://root@%s/nodedb?sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s"
secrets      %s (mode 0700: certificate, token and password of root; keep them safe)
`, o.ClusterName, res.ClusterID, o.Name, cfg.DataDir, cfg.DataDir, filepath.Join(creds, "context.yaml"), cfg.Advertised().SQL,
		filepath.Join(creds, "ca.crt"), filepath.Join(creds, "root.crt"), filepath.Join(creds, "root.key"), creds)
	return nil
}

func runJoin(args []string, stdout, stderr io.Writer) error {
	f := flags("join")
	cfg := agent.DefaultConfig("")
	cfg.Version = version
	var o agent.JoinOptions
	f.StringVar(&cfg.DataDir, "data-dir", "", "`directory` of the node; made if it is not there")
	f.StringVar(&o.Peer, "peer", "", "`host:port` of the admin port of the node that was initialised")
	f.StringVar(&o.TokenFile, "token-file", "", "`file` with a join token (nodedbctl join-token create), mode 0600")
	f.StringVar(&o.Name, "name", "", "`name` of the node (default n and its number)")
	listenFlags(f, &cfg)
	if err := parse(f, args, stderr); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	id, err := agent.Join(ctx, cfg, o)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "%s (%s) has joined cluster %s\nstart it     nodedb-agent start --data-dir %s\n", id.Name, id.Node, id.ClusterID, cfg.DataDir)
	return nil
}

// settled reads the configuration of a node: file, then flags.
func settled(name string, args []string, stderr io.Writer) (agent.Config, error) {
	f := flags(name)
	var dir, file string
	f.StringVar(&dir, "data-dir", "", "`directory` of the node")
	f.StringVar(&file, "config", "", "`file` to read in place of DATA-DIR/node.yaml")
	var fromFlags agent.Config
	listenFlags(f, &fromFlags)
	if name == "start" {
		f.Func("peer", "`host:port` of another node's admin port, to ask where the others are if every address has changed; repeat it, or give several with commas", func(v string) error {
			fromFlags.AskPeers = append(fromFlags.AskPeers, strings.Split(v, ",")...)
			return nil
		})
	}
	f.StringVar(&fromFlags.LogLevel, "log-level", "", "debug, info, warn or error")
	f.StringVar(&fromFlags.LogFormat, "log-format", "", "text or json")
	if err := parse(f, args, stderr); err != nil {
		return agent.Config{}, err
	}
	if dir == "" {
		return agent.Config{}, &agent.ExitError{Code: agent.ExitUsage, Message: "give --data-dir"}
	}
	if file == "" {
		file = agent.ConfigPath(dir)
	}
	cfg, err := agent.LoadConfig(dir, file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && file == agent.ConfigPath(dir):
		return cfg, &agent.ExitError{Code: agent.ExitDataDir, Message: fmt.Sprintf("%s holds no node: run nodedb-agent init or join first", dir)}
	case err != nil:
		return cfg, &agent.ExitError{Code: agent.ExitUsage, Message: "configuration", Err: err}
	}
	cfg.Version, cfg.AskPeers = version, fromFlags.AskPeers
	f.Visit(func(fl *flag.Flag) { override(&cfg, &fromFlags, fl.Name) })
	if err := cfg.Validate(); err != nil {
		return cfg, &agent.ExitError{Code: agent.ExitUsage, Message: "configuration", Err: err}
	}
	return cfg, nil
}

func override(cfg, from *agent.Config, name string) {
	for flagName, pair := range map[string][2]*string{
		"listen-sql": {&cfg.ListenSQL, &from.ListenSQL}, "listen-rpc": {&cfg.ListenRPC, &from.ListenRPC},
		"listen-gossip": {&cfg.ListenGossip, &from.ListenGossip}, "listen-admin": {&cfg.ListenAdmin, &from.ListenAdmin},
		"advertise-host": {&cfg.AdvertiseHost, &from.AdvertiseHost}, "locality": {&cfg.Locality, &from.Locality},
		"log-level": {&cfg.LogLevel, &from.LogLevel}, "log-format": {&cfg.LogFormat, &from.LogFormat},
	} {
		if flagName == name {
			*pair[0] = *pair[1]
		}
	}
}

func runStart(args []string, _, stderr io.Writer) error {
	cfg, err := settled("start", args, stderr)
	if err != nil {
		return err
	}
	n, err := agent.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with the node
		for {
			select {
			case <-reload:
				n.Reload()
			case <-signals:
				if ctx.Err() != nil {
					_, _ = fmt.Fprintln(stderr, "nodedb-agent: second signal: stopping at once")
					os.Exit(0)
				}
				cancel()
			case <-done:
				return
			}
		}
	}()
	return n.Run(ctx)
}

func runDrain(args []string, stdout, stderr io.Writer) error {
	f := flags("drain")
	var dir string
	var o agent.DrainOptions
	self := f.Bool("self", false, "the node of --data-dir (the only kind of drain here; nodedbctl drain does the others)")
	f.StringVar(&dir, "data-dir", "", "`directory` of the running node")
	f.DurationVar(&o.Deadline, "deadline", time.Minute, "over all phases")
	f.StringVar(&o.OnDeadline, "on-deadline", "stop", "stop: give up and serve again; force: end what is left")
	if err := parse(f, args, stderr); err != nil {
		return err
	}
	if !*self || dir == "" || o.OnDeadline != "stop" && o.OnDeadline != "force" {
		return &agent.ExitError{Code: agent.ExitUsage, Message: "usage: nodedb-agent drain --self --data-dir D [--deadline 60s] [--on-deadline stop|force]"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := agent.DrainSelf(ctx, dir, o); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, "drained: the process is safe to stop")
	return nil
}

func runReset(args []string, stdout, stderr io.Writer) error {
	f := flags("reset")
	var dir string
	f.StringVar(&dir, "data-dir", "", "`directory` of the node, which must not run")
	if err := parse(f, args, stderr); err != nil {
		return err
	}
	if dir == "" {
		return &agent.ExitError{Code: agent.ExitUsage, Message: "usage: nodedb-agent reset --data-dir D"}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := agent.Reset(ctx, dir)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "the store of %s (%s) is empty; %d replicas went with it and are made anew from the other nodes\nstart it     nodedb-agent start --data-dir %s\n", r.Identity.Name, r.Identity.Node, r.Lost, dir)
	return nil
}

func runClock(args []string, stdout, stderr io.Writer) error {
	f := flags("clock")
	var dir, lower string
	f.StringVar(&dir, "data-dir", "", "`directory` of the node, which must not run")
	f.StringVar(&lower, "lower-to", "", "`time` (2026-11-29T08:00:00Z) at which the clock is to begin; all nodes of the cluster must have stopped")
	if err := parse(f, args, stderr); err != nil {
		return err
	}
	if dir == "" {
		return &agent.ExitError{Code: agent.ExitUsage, Message: "usage: nodedb-agent clock --data-dir D [--lower-to TIME]"}
	}
	var to time.Time
	if lower != "" {
		var err error
		if to, err = time.Parse(time.RFC3339Nano, lower); err != nil {
			return &agent.ExitError{Code: agent.ExitUsage, Message: fmt.Sprintf("--lower-to wants a time such as 2026-11-29T08:00:00Z, not %q", lower)}
		}
	}
	c, err := agent.ClockOffline(dir, to)
	if err != nil {
		return err
	}
	_, _ = io.WriteString(stdout, clockText(c, dir, to))
	return nil
}

// clockText says what the store of a stopped node holds of time.
func clockText(c agent.StoredClock, dir string, to time.Time) string {
	const form = "2006-01-02T15:04:05.000Z"
	var b strings.Builder
	who := fmt.Sprintf("%s (%s)", c.Identity.Name, c.Identity.Node)
	switch wait := time.Until(c.Ceiling); {
	case c.Ceiling.IsZero():
		fmt.Fprintf(&b, "%s has given no timestamp yet\n", who)
	case c.Lowered:
		fmt.Fprintf(&b, "the clock of %s begins at %s; it began at %s\n", who, to.UTC().Format(form), c.Ceiling.UTC().Format(form))
	case !to.IsZero():
		fmt.Fprintf(&b, "the clock of %s begins at %s already, and nothing was changed\n", who, c.Ceiling.UTC().Format(form))
	case wait > 0:
		fmt.Fprintf(&b, "the clock of %s begins at %s, in %s by this machine's clock\n", who, c.Ceiling.UTC().Format(form), wait.Round(time.Second))
	default:
		fmt.Fprintf(&b, "the clock of %s begins at %s, which this machine's clock has passed\n", who, c.Ceiling.UTC().Format(form))
	}
	if c.Where == "" {
		b.WriteString("newest       nothing in the store has a timestamp\n")
	} else {
		fmt.Fprintf(&b, "newest       %s, before %s\n", c.Where, c.Newest.UTC().Format(form))
	}
	b.WriteString("not proved   reads that were answered above that, and what this node promised to others: stop all nodes before you start one\n")
	if to.IsZero() && c.Newest.Before(c.Ceiling) {
		fmt.Fprintf(&b, "lower it     nodedb-agent clock --data-dir %s --lower-to TIME, of all nodes the same, not before %s\n", dir, c.Newest.UTC().Format(form))
	}
	return b.String()
}

func runConfig(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 || args[0] != "print" {
		return &agent.ExitError{Code: agent.ExitUsage, Message: "usage: nodedb-agent config print --data-dir D"}
	}
	cfg, err := settled("config print", args[1:], stderr)
	if err != nil {
		return err
	}
	text, err := cfg.Encode()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprint(stdout, strings.TrimRight(string(text), "\n")+"\n"+cfg.MemoryNote())
	return nil
}

func runDebugLocal(args []string, stdout, stderr io.Writer) error {
	f := flags("debug-local")
	var dir, format string
	f.StringVar(&dir, "data-dir", "", "`directory` of the node")
	f.StringVar(&format, "o", "json", "`format`: json is the only one")
	if err := parse(f, args, stderr); err != nil {
		return err
	}
	if dir == "" || format != "json" {
		return &agent.ExitError{Code: agent.ExitUsage, Message: "usage: nodedb-agent debug-local --data-dir D [-o json]"}
	}
	r, err := agent.DebugLocal(dir)
	if err != nil {
		return err
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func runVersion(args []string, stdout, stderr io.Writer) error {
	if err := parse(flags("version"), args, stderr); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "nodedb-agent %s\n%s\n", version, build.Read())
	return nil
}
