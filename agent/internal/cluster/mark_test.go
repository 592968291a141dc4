package cluster

import (
	"reflect"
	"testing"
)

func TestBehind(t *testing.T) {
	at := func(number, nonce uint32, round uint64) Mark { return Mark{NewBoot(number, nonce), round} }
	past := func(m ...Mark) []Mark { return m }
	now := at(6, 1, 101)
	for _, c := range []struct {
		name  string
		now   Mark
		past  []Mark
		known Mark
		want  bool
	}{
		{"nothing was heard of it", now, past(at(5, 1, 100)), Mark{}, false},
		{"it has all that it told", now, past(at(5, 1, 100)), at(5, 1, 100), false},
		{"a snapshot of the disk", now, past(at(5, 1, 100)), at(5, 1, 101), true},
		{"known of this start", now, past(at(5, 1, 100)), at(6, 1, 500), false},
		{"a copy whose original has run since", now, past(at(5, 1, 100)), at(6, 2, 101), true},
		{"one whose original was started more often", now, past(at(5, 1, 100)), at(9, 2, 300), true},
		{"a start that told nobody stands between", at(7, 1, 201), past(at(5, 1, 100), at(6, 1, 200)), at(5, 1, 101), true},
		{"such a start, and an honest disk", at(7, 1, 201), past(at(5, 1, 100), at(6, 1, 200)), at(5, 1, 99), false},
		{"another copy's start of the same number", at(7, 1, 201), past(at(5, 1, 100), at(6, 1, 200)), at(6, 2, 1), true},
		{"long before", now, past(at(5, 1, 100)), at(4, 1, 900), false},
		{"new", Mark{}, nil, at(6, 1, 500), false},
		{"emptied, begins above", at(1007, 1, 501), nil, at(6, 1, 500), false},
		{"emptied, begins too low", at(7, 1, 501), nil, at(8, 1, 1), true},
	} {
		s := Standing{Now: c.now, Past: c.past}
		if got := s.Behind(c.known); got != c.want {
			t.Errorf("%s: %+v behind %s: %v, want %v", c.name, s, c.known, got, c.want)
		}
		b := s.Append(nil)
		back, rest, ok := DecodeStanding(append(b, 7))
		if !ok || !reflect.DeepEqual(back, s) || len(rest) != 1 {
			t.Errorf("%+v became %+v, %v", s, back, ok)
		}
		for i := range b {
			if _, _, ok := DecodeStanding(b[:i]); ok {
				t.Errorf("%+v: a standing that ends after %d bytes was read", s, i)
			}
		}
	}
}
