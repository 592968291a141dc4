// Package bundle is the verb debug bundle: everything that helps to understand a
// cluster, in one file without secrets.
//
// # Invariants
//
//  1. What cannot be collected is listed as missing; it never fails the bundle.
//  2. Every text passes client.Redact, whoever redacted it before.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/offline"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

type options struct {
	file        string
	stepTimeout time.Duration
}

// New makes the command bundle.
func New(e *ctl.Env) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "bundle [--file FILE]", Short: "Collect what helps to understand the cluster into one file, without secrets", Args: cobra.NoArgs,
		Long: "Bundle asks for every view of the API and, of each node, its configuration, status, the end of its log, metrics,\n" +
			"goroutines and heap profile, all at once. What does not answer in time is listed as missing in manifest.json; the\n" +
			"meta range may be down. Tokens, keys and passwords are taken out. The views can be read from it, anywhere:\n" +
			"nodedbctl --from FILE status.\n\nWithout the role admin the bundle lacks what the nodes give.",
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), e, &o) },
	}
	c.Flags().StringVar(&o.file, "file", "", "where to write it (default nodedb-debug-CLUSTER-TIME.tar.gz)")
	c.Flags().DurationVar(&o.stepTimeout, "step-timeout", 15*time.Second, "how long each thing to collect may take")
	return c
}

func run(ctx context.Context, e *ctl.Env, o *options) error {
	if o.stepTimeout <= 0 {
		return ctl.Usagef("--step-timeout must be positive")
	}
	if e.Flags.From != "" {
		return ctl.Usagef("--from has a bundle already")
	}
	cl, err := e.Client()
	if err != nil {
		return err
	}
	ctx, cancel := e.Wait(ctx)
	defer cancel()
	progress := e.Term.NewProgress(e.Now)
	c := &collector{client: cl, stepTimeout: o.stepTimeout, nodeTimeout: e.NodeTimeout(), progress: func(done, all int, name string) {
		line := fmt.Sprintf("collecting %d/%d  %s", done, all, name)
		progress.Show([]string{line}, line, false)
	}}
	nodes, err := c.reach(ctx, e)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		cl.Learn(n.GetAddresses().GetAdmin())
	}
	got := c.all(ctx, append(c.clusterCalls(), c.nodeSteps(nodes)...))
	var ranges adminpb.ListRangesResponse
	for _, s := range got {
		if s.Name == "calls/ListRanges" && s.File != "" {
			_ = protojson.Unmarshal(s.content, &ranges) // what cannot be read is looked at no closer
		}
	}
	got = append(got, c.all(ctx, c.rangeSteps(ranges.GetRanges()))...)
	progress.Clear()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return finish(e, o, got)
}

// reach finds the nodes. Without any node that answers there is no bundle.
func (c *collector) reach(ctx context.Context, e *ctl.Env) ([]*adminpb.Node, error) {
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.client.ListNodes(call, &adminpb.ListNodesRequest{All: true, NodeTimeout: c.nodeTimeout})
	return r.GetNodes(), err
}

func finish(e *ctl.Env, o *options, got []collected) error {
	now := e.Now().UTC().Truncate(time.Second)
	m := offline.Manifest{APIVersion: render.APIVersion, Kind: "BundleManifest", CreatedAt: now, Version: e.Version, Cluster: clusterOf(got)}
	for _, s := range got {
		m.Steps = append(m.Steps, s.Step)
	}
	name := "nodedb-debug-" + safe(m.Cluster) + "-" + now.Format("20060102T150405Z")
	path := o.file
	if path == "" {
		path = name + ".tar.gz"
	}
	size, err := write(path, name, &m, got)
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	v := view.Bundle{File: path, Bytes: size, CreatedAt: now, Cluster: m.Cluster, Steps: len(m.Steps), Missing: []view.BundleGap{}}
	for _, s := range m.Missing() {
		v.Missing = append(v.Missing, view.BundleGap{Name: s.Name, Error: s.Error})
	}
	one := render.One[view.Bundle]{
		Kind: "Bundle", Item: v, Name: path, Meta: render.Meta{Cluster: m.Cluster, Complete: len(v.Missing) == 0, Missing: []uint32{}, AsOf: render.AsOf{Time: now}},
		Text: func(w io.Writer) error {
			e.Term.Say("%d of %d collected, %s; secrets are taken out, but read it before you give it away", v.Steps-len(v.Missing), v.Steps, render.Bytes(uint64(size)))
			for _, g := range v.Missing {
				e.Term.Say("  missing  %s: %s", g.Name, g.Error)
			}
			e.Term.Say("look at it: nodedbctl --from %s status", path)
			_, err := fmt.Fprintln(w, path)
			return err
		},
	}
	if err := one.Print(e.Term, e.Flags.Output); err != nil {
		return err
	}
	if e.Flags.Strict && len(v.Missing) > 0 {
		return &ctl.Error{Code: ctl.Partial, Message: render.Plural(len(v.Missing), "thing") + " could not be collected"}
	}
	return nil
}

func clusterOf(got []collected) string {
	var me struct {
		ClusterName string `json:"clusterName"`
	}
	for _, s := range got {
		if s.Name == "calls/WhoAmI" && s.File != "" {
			_ = json.Unmarshal(s.content, &me) // then it has no name
		}
	}
	return me.ClusterName
}

// safe makes a name fit for a file.
func safe(name string) string {
	out := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	if out == "" {
		return "cluster"
	}
	return out
}

// write writes the bundle for its owner only and returns its size.
func write(path, dir string, m *offline.Manifest, got []collected) (int64, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return 0, err
	}
	err = pack(f, dir, m, got)
	info, serr := f.Stat()
	if err = errors.Join(err, serr, f.Close()); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func pack(w io.Writer, dir string, m *offline.Manifest, got []collected) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return err
	}
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	add := func(name string, content []byte) error {
		h := &tar.Header{Name: dir + "/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: m.CreatedAt, Typeflag: tar.TypeReg}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := t.Write(content)
		return err
	}
	err := add(offline.ManifestName, text.Bytes())
	for _, s := range got {
		if err == nil && s.File != "" {
			err = add(s.File, s.content)
		}
	}
	return errors.Join(err, t.Close(), z.Close())
}
