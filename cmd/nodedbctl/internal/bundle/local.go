package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// NewLocal makes the command local.
func NewLocal(e *ctl.Env) *cobra.Command {
	var dir, binary string
	c := &cobra.Command{
		Use: "local --data-dir DIR", Short: "Show what the data directory of a stopped node holds; changes nothing", Args: cobra.NoArgs,
		Long: "Local reads the store of a node that does not run: who it is, which ranges it holds and how far each has applied.\n" +
			"It needs no cluster. The reading is done by nodedb-agent, found beside nodedbctl or on PATH.",
		RunE: func(cmd *cobra.Command, _ []string) error { return local(cmd.Context(), e, dir, binary) },
	}
	c.Flags().StringVar(&dir, "data-dir", "", "data directory of the node")
	c.Flags().StringVar(&binary, "agent-binary", "", "nodedb-agent to run (default: beside nodedbctl, else on PATH)")
	_ = c.MarkFlagRequired("data-dir") // the flag was defined above
	return c
}

// agentExits are the exit codes of nodedb-agent and what they are here.
var agentExits = map[int]ctl.Exit{2: ctl.Usage, 73: ctl.NotFound, 78: ctl.Conflict}

// inUse is what nodedb-agent says of a directory whose node runs.
const inUse = "in use by another process"

func local(ctx context.Context, e *ctl.Env, dir, binary string) error {
	agent, err := ctl.FindAgent(binary)
	if err != nil {
		return err
	}
	ctx, cancel := e.Wait(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, agent, "debug-local", "--data-dir", dir, "-o", "json") //nolint:gosec // our own program
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		message := strings.TrimPrefix(strings.TrimSpace(said.String()), "nodedb-agent: ")
		if errors.As(err, &exit) && agentExits[exit.ExitCode()] != 0 {
			code := agentExits[exit.ExitCode()]
			if strings.Contains(message, inUse) {
				return &ctl.Error{Code: ctl.Conflict, Message: message, Err: err, Next: []string{"of a node that runs: nodedbctl debug bundle"}}
			}
			return &ctl.Error{Code: code, Message: message, Err: err}
		}
		return &ctl.Error{Code: ctl.Internal, Message: fmt.Sprintf("%s debug-local: %v: %s", filepath.Base(agent), err, message), Err: err}
	}
	var v view.LocalReport
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		return fmt.Errorf("read what %s says: %w", agent, err)
	}
	one := render.One[view.LocalReport]{
		Kind: "LocalReport", Item: v, Name: v.Name,
		Meta:  render.Meta{Cluster: v.Cluster, Complete: true, Missing: []uint32{}, AsOf: render.AsOf{MetaIndex: v.MetaIndex, Time: e.Now().UTC()}},
		Table: true, Text: func(w io.Writer) error { return writeLocal(w, e, &v) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func writeLocal(w io.Writer, e *ctl.Env, v *view.LocalReport) error {
	var b strings.Builder
	line := func(head, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s "+format+"\n", append([]any{head}, args...)...)
	}
	line("node", "%s  %s  of cluster %s", render.Node(v.Node), v.Name, v.Cluster)
	line("uuid", "%s", v.UUID)
	line("store", "%s, %s", render.Bytes(v.StoreBytes), render.Plural(len(v.Ranges), "replica"))
	line("metadata", "applied up to meta@%d", v.MetaIndex)
	for i, n := range v.Nodes {
		head := ""
		if i == 0 {
			head = "nodes"
		}
		line(head, "%s  %s  %s  rpc %s  admin %s", render.Node(n.ID), n.Name, n.Membership, n.RPC, n.Admin)
	}
	for i, p := range v.Problems {
		head := ""
		if i == 0 {
			head = "problems"
		}
		line(head, "%d. %s", i+1, p)
	}
	b.WriteString("\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	l := render.List[view.LocalRange]{Columns: localColumns, Items: v.Ranges}
	out := e.Flags.Output
	return l.Print(e.Term, render.Options{Format: out.Format, Columns: out.Columns, Sort: out.Sort, Filter: out.Filter, NoHeaders: out.NoHeaders})
}

var localColumns = []render.Column[view.LocalRange]{
	{Head: "RANGE", Key: "id", Cell: func(r view.LocalRange) string { return render.Range(r.ID) }},
	{Head: "VSHARDS", Key: "start", Cell: func(r view.LocalRange) string {
		if r.Meta {
			return "meta"
		}
		return render.VShards(r.Start, r.End, r.StartKey, r.EndKey)
	}},
	{Head: "REPLICA", Key: "replica", Right: true, Cell: func(r view.LocalRange) string { return fmt.Sprint(r.Replica) }},
	{Head: "VOTERS", Key: "voters", Cell: func(r view.LocalRange) string { return render.Nodes(r.Voters, ",") }},
	{Head: "GEN", Key: "generation", Right: true, Cell: func(r view.LocalRange) string { return fmt.Sprint(r.Generation) }},
	{Head: "TERM", Key: "term", Right: true, Cell: func(r view.LocalRange) string { return fmt.Sprint(r.Term) }},
	{Head: "COMMIT", Key: "commit", Right: true, Cell: func(r view.LocalRange) string { return fmt.Sprint(r.Commit) }},
	{Head: "APPLIED", Key: "applied", Right: true, Cell: func(r view.LocalRange) string { return fmt.Sprint(r.Applied) }},
	{Head: "LAST", Key: "lastIndex", Right: true, Cell: func(r view.LocalRange) string { return fmt.Sprint(r.LastIndex) }},
	{Head: "KEYS", Key: "keys", Right: true, Cell: func(r view.LocalRange) string {
		if r.Keys == nil {
			return render.None
		}
		return fmt.Sprint(*r.Keys)
	}},
	{Head: "LOG", Key: "logBytes", Wide: true, Right: true, Cell: func(r view.LocalRange) string { return render.Bytes(uint64(max(0, r.LogBytes))) }},
	{Head: "ERROR", Key: "error", Cell: func(r view.LocalRange) string { return render.Or(r.Error) }},
}
