package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Cluster is what a client has learnt of the cluster that it talks to.
type Cluster struct {
	ID    string   `yaml:"id"`
	Addrs []string `yaml:"addrs"` // admin addresses of its nodes
}

// known is what was learnt through one context. It holds only while the context
// names the same nodes and the same CA as then.
type known struct {
	Given   []string `yaml:"given"`
	CA      string   `yaml:"ca,omitempty"`
	Cluster Cluster  `yaml:"cluster"`
}

// knownFile holds, by the contexts' names, what clients have learnt. It is a file
// of its own, beside the context file: that one is its owner's, comments and all.
type knownFile struct {
	Version  int              `yaml:"version"`
	Contexts map[string]known `yaml:"contexts"`
}

func (f *File) knownPath() string {
	ext := filepath.Ext(f.path)
	return strings.TrimSuffix(f.path, ext) + ".known" + ext
}

// readKnown reads the file; what cannot be read is learnt anew.
func (f *File) readKnown() *knownFile {
	k := &knownFile{}
	if b, err := os.ReadFile(f.knownPath()); err != nil || yaml.Unmarshal(b, k) != nil || k.Version != FileVersion {
		k = &knownFile{}
	}
	k.Version = FileVersion
	if k.Contexts == nil {
		k.Contexts = map[string]known{}
	}
	return k
}

// Recall returns what was learnt before of the cluster that c names; the zero
// Cluster if nothing was. c is as Select returned it.
func (f *File) Recall(c Context) Cluster {
	k, ok := f.readKnown().Contexts[c.Name]
	if !ok || !slices.Equal(k.Given, c.Addrs) || k.CA != c.CA {
		return Cluster{}
	}
	return k.Cluster
}

// Remember keeps what was learnt through c, for later clients. A crash leaves
// the old file or the new one; of two that write at once, the later is kept.
func (f *File) Remember(c Context, learnt Cluster) error {
	k := f.readKnown()
	k.Contexts[c.Name] = known{Given: c.Addrs, CA: c.CA, Cluster: learnt}
	return f.writeKnown(k)
}

// forget drops what was learnt through the context called name.
func (f *File) forget(name string) error {
	k := f.readKnown()
	if _, ok := k.Contexts[name]; !ok {
		return nil
	}
	delete(k.Contexts, name)
	return f.writeKnown(k)
}

func (f *File) writeKnown(k *knownFile) error {
	if len(k.Contexts) == 0 {
		if err := os.Remove(f.knownPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what is known of clusters: %w", err)
		}
		return nil
	}
	b, err := yaml.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode what is known of clusters: %w", err)
	}
	if err := writeFile(f.knownPath(), b); err != nil {
		return fmt.Errorf("keep what is known of clusters: %w", err)
	}
	return nil
}

// Cluster returns what the client knows of its cluster. Without an id, no node
// has named the others yet.
func (c *Client) Cluster() Cluster {
	c.learnt.Lock()
	defer c.learnt.Unlock()
	return Cluster{ID: c.learnt.cluster.ID, Addrs: slices.Clone(c.learnt.cluster.Addrs)}
}

// learntMost bounds what is learnt of a cluster: so many nodes are not down at
// once, and each costs a dial when they are.
const learntMost = 16

// note learns the nodes that an answer names: the client may fail over to them.
// The one that answered has proved itself by the context's CA. The first answer
// says which cluster this is; another one's nodes are not learnt.
func (c *Client) note(msg any) {
	var r interface {
		GetNodes() []*adminpb.Node
		GetAsOf() *adminpb.AsOf
	}
	switch m := msg.(type) {
	case *adminpb.ListNodesResponse:
		r = m
	case *adminpb.WatchResponse:
		if !m.GetReset_() {
			return // only what changed
		}
		r = m
	}
	if r == nil || r.GetAsOf().GetClusterId() == "" {
		return
	}
	var addrs []string
	for _, n := range r.GetNodes() {
		if a := n.GetAddresses().GetAdmin(); a != "" && n.GetMembership() != "decommissioned" {
			addrs = append(addrs, a)
		}
	}
	addrs = addrs[:min(len(addrs), learntMost)]
	c.learnt.Lock()
	id := r.GetAsOf().GetClusterId()
	if len(addrs) == 0 || c.learnt.cluster.ID != "" && c.learnt.cluster.ID != id {
		c.learnt.Unlock()
		return
	}
	c.learnt.cluster = Cluster{ID: id, Addrs: addrs}
	c.learnt.Unlock()
	c.dial.learn(addrs)
}
