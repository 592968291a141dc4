package agent

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// followedRules has host rules be set while clients log in, and tells of one that was not let
// in, or kept out, by those that are set.
func followedRules(t *testing.T, seed uint64, faults plantedFaults) string {
	rnd := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // a test's
	var h hostRules
	settings := metastate.Settings{}
	for step := range 40 {
		if rnd.IntN(3) == 0 {
			settings = metastate.Settings{metastate.SettingHBA: fmt.Sprintf("host all user%d 10.0.0.0/8 reject\nhost all all all %s\n", rnd.IntN(3), []string{"cert", "scram-sha-256"}[rnd.IntN(2)])}
		}
		k := cluster.Knock{User: fmt.Sprintf("user%d", rnd.IntN(3)), Database: "d", Address: netip.MustParseAddr(fmt.Sprintf("%d.1.1.1", 10+rnd.IntN(2)))}
		want, err := cluster.ParseHostRules(settings[metastate.SettingHBA])
		if err != nil {
			t.Fatal(err)
		}
		if got, want := h.of(settings, faults).Find(k).String(), want.Find(k).String(); got != want {
			return fmt.Sprintf("step %d: %s from %s comes by %q, the rules say %q", step, k.User, k.Address, got, want)
		}
	}
	return ""
}

func TestHostRulesThatAreSetHold(t *testing.T) {
	seed := rand.Uint64()
	if wrong := followedRules(t, seed, plantedFaults{}); wrong != "" {
		t.Errorf("seed %d: %s", seed, wrong)
	}
}
