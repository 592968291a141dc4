package gate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

func TestWhichBinariesMayRun(t *testing.T) {
	one, two, three := gate.Support{Min: 1, Max: 1}, gate.Support{Min: 1, Max: 2}, gate.Support{Min: 2, Max: 3}
	for _, c := range []struct {
		stored gate.Stored
		binary gate.Support
		says   string // empty: it may
	}{
		{gate.Stored{Active: 1}, one, ""},
		{gate.Stored{Active: 1}, two, ""},
		{gate.Stored{Active: 1}, three, "too new"},
		{gate.Stored{Active: 2}, one, "too old"},
		{gate.Stored{Active: 2}, two, ""},
		{gate.Stored{Active: 2}, three, ""},
		{gate.Stored{Active: 1, Promised: 2, Index: 7}, one, "upgrade abort"},
		{gate.Stored{Active: 1, Promised: 2, Index: 7}, two, ""},
	} {
		err := c.stored.Check(c.binary)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v with %s: %v, want %q", c.stored, c.binary, err, c.says)
		}
	}
}

// TestWhatIsStoredWhen follows what the meta range says, step by step.
func TestWhatIsStoredWhen(t *testing.T) {
	var stored gate.Stored
	raised := gate.Version(1)
	k := gate.NewKeeper(gate.KeeperConfig{
		Support: gate.Support{Min: 1, Max: 2}, Stored: gate.Stored{Active: 1},
		Save: func(s gate.Stored) error { stored = s; return nil },
		Raise: func(v gate.Version) error {
			if stored.Active != v {
				t.Errorf("raised to %d while %+v is stored", v, stored)
			}
			raised = v
			return nil
		},
	})
	for _, c := range []struct {
		what     string
		record   gate.Record
		promised uint64
		want     gate.Stored
	}{
		{"the meta range has not arrived", gate.Record{}, 0, gate.Stored{}},
		{"nothing is raised", gate.Record{Index: 20, Active: 1}, 0, gate.Stored{}},
		{"a raising begins", gate.Record{Index: 30, Active: 1, Raising: 2, RaisingIndex: 30}, 30, gate.Stored{Active: 1, Promised: 2, Index: 30}},
		{"a crash has set the view back", gate.Record{Index: 25, Active: 1}, 30, gate.Stored{Active: 1, Promised: 2, Index: 30}},
		{"it is over", gate.Record{Index: 40, Active: 1}, 0, gate.Stored{Active: 1}},
		{"another begins", gate.Record{Index: 50, Active: 1, Raising: 2, RaisingIndex: 50}, 50, gate.Stored{Active: 1, Promised: 2, Index: 50}},
		{"and one after it", gate.Record{Index: 60, Active: 1, Raising: 2, RaisingIndex: 60}, 60, gate.Stored{Active: 1, Promised: 2, Index: 60}},
		{"the version is raised", gate.Record{Index: 70, Active: 2}, 0, gate.Stored{Active: 2}},
		{"a crash has set the view back again", gate.Record{Index: 65, Active: 1, Raising: 2, RaisingIndex: 60}, 0, gate.Stored{Active: 2}},
	} {
		promised, err := k.Follow(c.record)
		if err != nil || promised != c.promised || stored != c.want {
			t.Errorf("%s: promised to %d, stored %+v (%v), want %d, %+v", c.what, promised, stored, err, c.promised, c.want)
		}
	}
	if k.Active() != 2 || raised != 2 {
		t.Errorf("active %d, the store raised to %d", k.Active(), raised)
	}
	var unfit *gate.UnfitError
	if _, err := k.Follow(gate.Record{Index: 90, Active: 3}); !errors.As(err, &unfit) {
		t.Errorf("a version that the binary lacks: %v", err)
	}
}

func TestNothingIsActedUponThatIsNotStored(t *testing.T) {
	full := errors.New("the disk is full")
	k := gate.NewKeeper(gate.KeeperConfig{
		Support: gate.Support{Min: 1, Max: 2}, Stored: gate.Stored{Active: 1}, Save: func(gate.Stored) error { return full },
	})
	if promised, err := k.Follow(gate.Record{Index: 9, Active: 1, Raising: 2, RaisingIndex: 9}); promised != 0 || !errors.Is(err, full) {
		t.Errorf("promised to %d, %v", promised, err)
	}
	if _, err := k.Follow(gate.Record{Index: 10, Active: 2}); !errors.Is(err, full) || k.Active() != 1 {
		t.Errorf("active %d, %v", k.Active(), err)
	}
}
