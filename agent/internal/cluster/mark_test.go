package cluster

import "testing"

func TestBehind(t *testing.T) {
	at := func(boot, round uint64) Mark { return Mark{boot, round} }
	for _, c := range []struct {
		name       string
		now, found Mark
		known      Mark
		want       bool
	}{
		{"nothing was heard of it", at(5, 100), at(5, 100), at(0, 0), false},
		{"it has all that it told", at(5, 100), at(5, 100), at(5, 100), false},
		{"a snapshot of the same boot", at(5, 100), at(5, 100), at(5, 101), true},
		{"a copy whose original has run since", at(5, 100), at(5, 100), at(6, 101), true},
		{"known of this start", at(6, 101), at(5, 100), at(6, 500), false},
		{"a peer that hears of it late", at(6, 101), at(5, 100), at(5, 101), true},
		{"another copy has started since", at(6, 101), at(5, 100), at(7, 1), true},
		{"more rounds in an earlier boot", at(6, 101), at(5, 100), at(4, 900), false},
		{"empty", at(0, 0), at(0, 0), at(6, 500), false},
		{"empty, begins above", at(7, 501), at(0, 0), at(6, 500), false},
		{"empty, begins too low", at(7, 501), at(0, 0), at(8, 1), true},
	} {
		s := Standing{Now: c.now, Found: c.found}
		if got := s.Behind(c.known); got != c.want {
			t.Errorf("%s: %+v behind %s: %v, want %v", c.name, s, c.known, got, c.want)
		}
		back, rest, ok := DecodeStanding(append(s.Append(nil), 7))
		if !ok || back != s || len(rest) != 1 {
			t.Errorf("%+v became %+v, %v", s, back, ok)
		}
	}
	if _, _, ok := DecodeStanding(make([]byte, StandingLen-1)); ok {
		t.Error("a standing that ends early was read")
	}
}
