// Package sqlshell is the verb sql: statements to a node over the PostgreSQL
// protocol, their results as tables, CSV or JSON.
package sqlshell

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

type options struct {
	statements []string
	file       string
	user       string
	database   string
	node       string
	timing     bool
	format     format
}

// New makes the command sql.
func New(e *ctl.Env) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "sql [-e STMT]... [-f FILE] [-- PSQL-FLAGS]", Short: "Run SQL, or a shell for it",
		Long: "Sql logs in with the context's client certificate, or with its sqlUser and sqlPasswordFile. On a terminal it is a\n" +
			"shell with history and completion; \\? lists its commands. Several statements may be in one -e; each runs by itself\n" +
			"unless the text says BEGIN. The first error ends -e, -f and piped input, with its exit code.\n\n" +
			"After -- stand the flags of psql that scripts use: -c -f -d -U -t -A -F -x -q --csv (and -X, -v, -w, which are so\n" +
			"anyway).",
		Example: "  nodedbctl sql -e 'SELECT 1' -o json\n  nodedbctl sql -- -At -c 'SELECT count(*) FROM orders'",
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); len(args) > 0 && at != 0 {
				return ctl.Usagef("unexpected argument %q: statements are given with -e", args[0])
			}
			return psqlFlags(e, &o, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), e, &o) },
	}
	f := c.Flags()
	f.StringArrayVarP(&o.statements, "execute", "e", nil, "statement to run; may be repeated")
	f.StringVarP(&o.file, "file", "f", "", "file of statements to run; - is stdin")
	f.StringVar(&o.user, "user", "", "user to log in as (default: the one of the certificate)")
	f.StringVar(&o.database, "database", "nodedb", "database")
	f.StringVar(&o.node, "node", "", "node to connect to (default: the first that is ready)")
	f.BoolVar(&o.timing, "timing", false, "say how long each statement took")
	return c
}

func run(ctx context.Context, e *ctl.Env, o *options) error {
	if e.Flags.From != "" {
		return ctl.Usagef("a bundle answers no SQL")
	}
	if e.Flags.ReadOnly {
		return ctl.Usagef("sql has no --read-only: log in as a user that may only read")
	}
	if o.file != "" && o.file != "-" {
		if _, err := os.Stat(o.file); err != nil {
			return ctl.Usagef("%v", err)
		}
	}
	sh := &shell{e: e, o: o, s: &session{e: e, timing: o.timing, format: o.format}}
	if err := sh.connect(ctx); err != nil {
		return err
	}
	defer sh.close(ctx)
	if len(o.statements) == 0 && o.file == "" {
		if e.Term.CanAsk() {
			return sh.converse(ctx)
		}
		return sh.batch(ctx, e.Term.In)
	}
	for _, text := range o.statements {
		if err := sh.batch(ctx, strings.NewReader(text)); err != nil {
			return err
		}
	}
	if o.file == "" {
		return nil
	}
	return sh.include(ctx, o.file)
}

// connect logs in to the first ready node that lets it.
func connect(ctx context.Context, e *ctl.Env, o *options) (*pgconn.PgConn, error) {
	call, cancel := e.Call(ctx)
	defer cancel()
	cx, err := e.Context()
	if err != nil {
		return nil, err
	}
	nodes, err := candidates(call, e, o.node)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, n := range nodes {
		cfg, err := config(&cx, o, n.GetAddresses().GetSql())
		if err != nil {
			return nil, err
		}
		conn, err := pgconn.ConnectConfig(call, cfg)
		if err == nil {
			if e.Flags.Verbose {
				e.Term.Say("connected to %s at %s as %s", render.Node(n.GetId()), n.GetAddresses().GetSql(), cfg.User)
			}
			return conn, nil
		}
		var pe *pgconn.PgError
		if errors.As(err, &pe) && pe.Code != "57P03" { // it answered: another node would say the same
			return nil, sqlError(err, "")
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, &ctl.Error{Code: ctl.Unavailable, Message: "no node is ready for SQL", Next: []string{"nodedbctl nodes"}}
	}
	return nil, &ctl.Error{Code: ctl.Unavailable, Message: "no node lets you in: " + errors.Join(errs...).Error(), Err: errors.Join(errs...)}
}

// candidates are the nodes to try, ready ones first.
func candidates(ctx context.Context, e *ctl.Env, arg string) ([]*adminpb.Node, error) {
	if arg != "" {
		return e.ResolveNodes(ctx, []string{arg})
	}
	c, err := e.Client()
	if err != nil {
		return nil, err
	}
	r, err := c.ListNodes(ctx, &adminpb.ListNodesRequest{NodeTimeout: min(1, e.NodeTimeout())})
	if err != nil {
		return nil, err
	}
	var ready []*adminpb.Node
	for _, n := range r.GetNodes() {
		if n.GetService() == "ready" && n.GetAddresses().GetSql() != "" {
			ready = append(ready, n)
		}
	}
	return ready, nil
}

func config(cx *client.Context, o *options, addr string) (*pgconn.Config, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address of the SQL port: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("address of the SQL port: %w", err)
	}
	user := o.user
	if user == "" {
		user = cx.SQLUser
	}
	if user == "" {
		if user, err = cx.User(); err != nil {
			return nil, err
		}
	}
	if user == "" {
		return nil, ctl.Usagef("who are you to SQL? Give --user, or a context with cert or sqlUser")
	}
	// The environment's PG* variables must not choose where a context leads to.
	cfg, err := pgconn.ParseConfig("host=" + host + " port=" + port + " sslmode=require")
	if err != nil {
		return nil, err
	}
	if cfg.TLSConfig, err = cx.TLSConfig(); err != nil {
		return nil, ctl.Usagef("%v", err)
	}
	cfg.TLSConfig.ServerName = host
	if cfg.Password, err = cx.SQLPassword(); err != nil {
		return nil, ctl.Usagef("%v", err)
	}
	cfg.Host, cfg.Port, cfg.User, cfg.Database, cfg.Fallbacks = host, uint16(number), user, o.database, nil
	cfg.RuntimeParams = map[string]string{"application_name": "nodedbctl"}
	return cfg, nil
}

// sqlError gives an error of SQL its exit code.
func sqlError(err error, text string) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return &ctl.Error{Code: ctl.Unavailable, Message: err.Error(), Err: err}
	}
	code := ctl.Usage // the statement is not right, or does not fit the data
	switch {
	case pe.Code == "57014":
		code = ctl.Aborted
	case strings.HasPrefix(pe.Code, "XX"):
		code = ctl.Internal
	case strings.HasPrefix(pe.Code, "40"):
		code = ctl.Conflict
	case strings.HasPrefix(pe.Code, "28") || pe.Code == "42501":
		code = ctl.Denied
	case strings.HasPrefix(pe.Code, "08") || strings.HasPrefix(pe.Code, "57") || strings.HasPrefix(pe.Code, "53"):
		code = ctl.Unavailable
	}
	return &ctl.Error{Code: code, Message: errorText(pe, text), Err: err}
}

// errorText is an error as psql shows it: the line that it is about with a caret
// under the place, detail and hint.
func errorText(pe *pgconn.PgError, text string) string {
	out := fmt.Sprintf("%s: %s (SQLSTATE %s)", pe.Severity, pe.Message, pe.Code)
	out += caret(text, int(pe.Position))
	if pe.Detail != "" {
		out += "\nDETAIL:  " + pe.Detail
	}
	if pe.Hint != "" {
		out += "\nHINT:  " + pe.Hint
	}
	return out
}

// caret shows the line of text that holds its character number position, from 1.
func caret(text string, position int) string {
	runes := []rune(text)
	if position < 1 || position > len(runes)+1 {
		return ""
	}
	line, start := 1, 0
	for i, r := range runes[:position-1] {
		if r == '\n' {
			line, start = line+1, i+1
		}
	}
	end := start
	for end < len(runes) && runes[end] != '\n' {
		end++
	}
	head := fmt.Sprintf("LINE %d: ", line)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r // as wide as above
		}
		return ' '
	}, head+string(runes[start:position-1]))
	return "\n" + head + string(runes[start:end]) + "\n" + pad + "^"
}
