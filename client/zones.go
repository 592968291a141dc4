package client

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
)

// TierLoss says of one tier of the localities, such as zone, whether the loss of any
// one place of it is outlived.
type TierLoss struct {
	Tier    string                // "zone"
	Failing int                   // places whose loss would stop a range; 0: any may be lost
	Worst   *adminpb.LocalityLoss // the one that would stop most; nil if none would
}

// TierLosses sums up what the loss of each locality would cost, the widest tier
// first; nothing if no locality tells nodes apart.
func TierLosses(ls []*adminpb.LocalityLoss) []TierLoss {
	ls = slices.Clone(ls)
	depth := func(l *adminpb.LocalityLoss) int { return strings.Count(l.GetLocality(), ",") }
	slices.SortStableFunc(ls, func(a, b *adminpb.LocalityLoss) int { return cmp.Compare(depth(a), depth(b)) })
	var out []TierLoss
	for _, l := range ls {
		terms := strings.Split(l.GetLocality(), ",")
		tier, _, _ := strings.Cut(terms[len(terms)-1], "=")
		i := slices.IndexFunc(out, func(t TierLoss) bool { return t.Tier == tier })
		if i < 0 {
			out, i = append(out, TierLoss{Tier: tier}), len(out)
		}
		if l.GetRanges() == 0 {
			continue
		}
		out[i].Failing++
		if out[i].Worst == nil || l.GetRanges() > out[i].Worst.GetRanges() {
			out[i].Worst = l
		}
	}
	return out
}
