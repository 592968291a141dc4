package ctl

import (
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func FuzzShare(f *testing.F) {
	for _, s := range []string{"80%", "0.8", "1e-3", "NaN", "-1%", "101%", "%", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s Share
		if err := s.Set(text); err == nil && !(s > 0 && s <= 1) {
			t.Errorf("%q is taken for %v", text, float64(s))
		}
	})
}

func FuzzByteRate(f *testing.F) {
	for _, s := range []string{"64MiB/s", "1", "1e30GiB", "-5B", "NaN", "1.5 k", "/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, again ByteRate
		if err := r.Set(text); err != nil {
			return
		}
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%q is taken for %d, which reads back as %d, %v", text, r, again, err)
		}
	})
}

// FuzzFindNode: an argument names one node that it fits, or none.
func FuzzFindNode(f *testing.F) {
	nodes := []*adminpb.Node{
		{Id: 1, Name: "n1", Uuid: "7e571000-0000", Membership: "active", Addresses: &adminpb.Addresses{Admin: "10.0.0.1:6480"}},
		{Id: 2, Name: "n1", Uuid: "7e572000-0000", Membership: "decommissioned", Addresses: &adminpb.Addresses{Admin: "10.0.0.1:6480"}},
		{Id: 3, Name: "4", Uuid: "7e573000-0000", Membership: "active", Addresses: &adminpb.Addresses{Admin: "10.0.0.3:6480"}},
		{Id: 4, Name: "", Uuid: "7e574000-0000", Membership: "active"},
	}
	for _, s := range []string{"n1", "4", "10.0.0.1", "7e57", "7e573", "", "n", "n4294967297", "N1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		n, err := FindNode(nodes, arg)
		if (n == nil) == (err == nil) {
			t.Errorf("%q: %v and %v", arg, n, err)
		}
		if code := CodeOf(err); err != nil && code != Usage && code != NotFound {
			t.Errorf("%q: exit %d", arg, code)
		}
	})
}

func FuzzRangeID(f *testing.F) {
	for _, s := range []string{"r27", "27", "0", "r", "rr1", "-1", "99999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		if id, err := RangeID(arg); err == nil && id == 0 {
			t.Errorf("%q is range 0", arg)
		}
	})
}
