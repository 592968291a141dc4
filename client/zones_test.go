package client

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func TestTierLosses(t *testing.T) {
	loss := func(name string, ranges uint32) *adminpb.LocalityLoss {
		return &adminpb.LocalityLoss{Locality: name, Ranges: ranges}
	}
	for name, tt := range map[string]struct {
		losses []*adminpb.LocalityLoss
		want   string
	}{
		"no localities": {nil, ""},
		"zones alone":   {[]*adminpb.LocalityLoss{loss("zone=a", 0), loss("zone=b", 0)}, "zone 0"},
		"two tiers": {[]*adminpb.LocalityLoss{loss("region=eu", 9), loss("region=eu,zone=a", 0), loss("region=us", 0), loss("region=us,zone=a", 2), loss("region=us,zone=b", 3)},
			"region 1 region=eu; zone 2 region=us,zone=b"},
	} {
		var got []string
		for _, l := range TierLosses(tt.losses) {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s", l.Tier, l.Failing, l.Worst.GetLocality())))
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: got %q, want %q", name, strings.Join(got, "; "), tt.want)
		}
	}
}
