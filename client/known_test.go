package client

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func (n *fakeNode) ListNodes(context.Context, *adminpb.ListNodesRequest) (*adminpb.ListNodesResponse, error) {
	return n.nodes, nil
}

func members(cluster string, addrs ...string) *adminpb.ListNodesResponse {
	r := &adminpb.ListNodesResponse{AsOf: &adminpb.AsOf{ClusterId: cluster}}
	for _, a := range addrs {
		r.Nodes = append(r.Nodes, &adminpb.Node{Membership: "active", Addresses: &adminpb.Addresses{Admin: a}})
	}
	return r
}

// TestAClientKnowsTheOthers: who has talked to one node finds the cluster when
// that node is gone, now and the next time.
func TestAClientKnowsTheOthers(t *testing.T) {
	a := newAuthority(t)
	n1, n2, stranger := a.node(1, "/node/1"), a.node(2, "/node/2"), a.node(3, "/node/3")
	n1.nodes = members("c", n1.addr, n2.addr)
	n1.nodes.Nodes = append(n1.nodes.Nodes, &adminpb.Node{Membership: "decommissioned", Addresses: &adminpb.Addresses{Admin: stranger.addr}})
	file, err := ReadFile(filepath.Join(t.TempDir(), "context.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file.Put(Context{Name: "t", Addrs: []string{n1.addr}, CA: a.ca()})
	selected := func() Context {
		t.Helper()
		c, err := file.Select("t")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c, err := Dial(selected())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ListNodes(t.Context(), &adminpb.ListNodesRequest{}); err != nil {
		t.Fatal(err)
	}
	n1.nodes = members("another", stranger.addr)
	if _, err := c.ListNodes(t.Context(), &adminpb.ListNodesRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := c.Cluster(); got.ID != "c" || !slices.Equal(got.Addrs, []string{n1.addr, n2.addr}) {
		t.Errorf("learnt %+v, want the members of c", got)
	}
	if err := file.Remember(selected(), c.Cluster()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file.knownPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v %v, want 0600", info.Mode(), err)
	}
	_ = n1.srv.Close()
	later, err := Dial(selected())
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	for name, c := range map[string]*Client{"the same client": c, "a later client": later} {
		if r, err := c.WhoAmI(t.Context(), &adminpb.WhoAmIRequest{}); err != nil || r.GetNode() != 2 {
			t.Errorf("%s, n1 is gone: got %v %v, want n2", name, r, err)
		}
	}
}

// TestKnowledgeIsOfOneContext: it ends with the context, and when the context
// comes to name other nodes or another CA.
func TestKnowledgeIsOfOneContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "context.yaml")
	given := Context{Name: "t", Addrs: []string{"h:1"}, CA: "/ca.crt"}
	for name, change := range map[string]func(*File){
		"none":          func(*File) {},
		"other address": func(f *File) { f.Put(Context{Name: "t", Addrs: []string{"h:9"}, CA: "/ca.crt"}) },
		"other CA":      func(f *File) { f.Put(Context{Name: "t", Addrs: []string{"h:1"}, CA: "/other.crt"}) },
		"removed":       func(f *File) { f.Remove("t"); _ = f.Write(); f.Put(given) },
	} {
		f := &File{Version: FileVersion, path: path}
		f.Put(given)
		if err := f.Remember(given, Cluster{ID: "c", Addrs: []string{"h:1", "h:2"}}); err != nil {
			t.Fatal(err)
		}
		change(f)
		c, err := f.Select("t")
		if want := name == "none"; err != nil || (len(c.Known) == 2) != want {
			t.Errorf("%s: known %v, %v", name, c.Known, err)
		}
	}
	if err := os.WriteFile((&File{path: path}).knownPath(), []byte("\t{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := (&File{path: path}).Recall(given); got.ID != "" {
		t.Errorf("a broken file: got %+v", got)
	}
}

// TestAStrangerAtALearntAddress is no reason to doubt the credentials: somebody
// else may live there by now.
func TestAStrangerAtALearntAddress(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	c, err := Dial(Context{Name: "t", Addrs: []string{"127.0.0.1:1"}, CA: a.ca(), Known: []string{other.node(1, "/node/1").addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WhoAmI(t.Context(), &adminpb.WhoAmIRequest{}); AsError(err).Kind != Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}
