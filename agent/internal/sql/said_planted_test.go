//go:build planted

package sql

import "testing"

// TestPlantedBugsOfSessionsAreFound plants what may go wrong with what a session says, copies,
// runs together and leaves behind.
func TestPlantedBugsOfSessionsAreFound(t *testing.T) {
	for name, bug := range map[string]struct {
		Planted
		find func(*testing.T, Planted) error
	}{
		"what was rolled back is notified":      {Planted{TellUndone: true}, func(t *testing.T, p Planted) error { return notifyModel(t, 60, p) }},
		"what was taken back is notified":       {Planted{KeepUndone: true}, func(t *testing.T, p Planted) error { return notifyModel(t, 60, p) }},
		"a COPY that failed leaves rows":        {Planted{CopyStays: true}, func(t *testing.T, p Planted) error { return copyModel(t, 8, p) }},
		"a query of WITH runs twice":            {Planted{NamedAgain: true}, withOnce},
		"temporary objects of a node that hung": {Planted{SweepAtOnce: true}, temporaryStays},
	} {
		t.Run(name, func(t *testing.T) {
			err := bug.find(t, bug.Planted)
			if err == nil {
				t.Fatal("not found")
			}
			t.Log(err)
		})
	}
}
