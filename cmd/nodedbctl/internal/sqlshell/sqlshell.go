// Package sqlshell is the verb sql: statements to a node over the PostgreSQL
// protocol, their results as tables, CSV or JSON.
package sqlshell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

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
}

// New makes the command sql.
func New(e *ctl.Env) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "sql [-e STATEMENT]... [-f FILE]", Short: "Run SQL; without -e or -f, read it from stdin", Args: cobra.NoArgs,
		Long: "Sql logs in with the context's client certificate, or with its sqlUser and sqlPasswordFile. Several statements\n" +
			"may be in one -e; each runs by itself unless the text says BEGIN.",
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), e, &o) },
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
	texts := o.statements
	if o.file != "" {
		text, err := readFile(e, o.file)
		if err != nil {
			return ctl.Usagef("%v", err)
		}
		texts = append(texts, text)
	}
	conn, err := connect(ctx, e, o)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end) // all answers have been read
	}()
	s := &session{e: e, conn: conn, timing: o.timing}
	if len(texts) == 0 {
		return s.shell(ctx)
	}
	for _, text := range texts {
		if err := s.execute(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func readFile(e *ctl.Env, path string) (string, error) {
	if path == "-" {
		b, err := io.ReadAll(e.Term.In)
		return string(b), err
	}
	b, err := os.ReadFile(path)
	return string(b), err
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
			return nil, sqlError(err)
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
func sqlError(err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return &ctl.Error{Code: ctl.Unavailable, Message: err.Error(), Err: err}
	}
	code := ctl.Internal
	switch {
	case strings.HasPrefix(pe.Code, "28") || pe.Code == "42501":
		code = ctl.Denied
	case strings.HasPrefix(pe.Code, "08") || strings.HasPrefix(pe.Code, "57") || strings.HasPrefix(pe.Code, "53"):
		code = ctl.Unavailable
	}
	text := fmt.Sprintf("%s: %s (SQLSTATE %s)", pe.Severity, pe.Message, pe.Code)
	if pe.Detail != "" {
		text += "\n  detail: " + pe.Detail
	}
	if pe.Hint != "" {
		text += "\n  hint: " + pe.Hint
	}
	return &ctl.Error{Code: code, Message: text, Err: err}
}
