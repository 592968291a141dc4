//go:build planted

package txn

import (
	"testing"
	"testing/synctest"
)

// TestPlantedJanitor: a janitor that is too eager is found.
func TestPlantedJanitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if comesBack(t, Planted{ForgetPoison: true}) == "" {
			t.Error("nobody finds that poison is forgotten")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if elsewhere(t, Planted{ForgetIntents: true}) == "" {
			t.Error("nobody finds that intents are forgotten")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if dieAt(t, "ResolveObjects", true, Planted{ForgetObjects: true}) == "" {
			t.Error("nobody finds that the meta range was not told")
		}
	})
}

// TestPlantedLostLock: a transaction that does not remember what it has locked is found.
func TestPlantedLostLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if lostLock(t, Planted{ForgetSeen: true}) == "" {
			t.Error("nobody finds that a row changed under a lost lock")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if movedRecord(t, Planted{MoveRecord: true}) == "" {
			t.Error("nobody finds that a record moved which others know")
		}
	})
}

// TestPlantedTakenBack: what a transaction leaves behind that does not commit is found.
func TestPlantedTakenBack(t *testing.T) {
	for name, p := range map[string]Planted{"spans alone": {SpansAlone: true}, "locks of refused rows": {KeepRefused: true}} {
		synctest.Test(t, func(t *testing.T) {
			if found := takenBack(t, p); found == "" {
				t.Errorf("%s: not found", name)
			} else {
				t.Log(name, found)
			}
		})
	}
}
