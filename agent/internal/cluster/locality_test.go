package cluster

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestConstraints(t *testing.T) {
	at := func(text string) Locality {
		l, err := ParseLocality(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, c := range []struct {
		text, at, broken string
	}{
		{"", "", ""},
		{"+zone=a", "region=eu,zone=a", ""},
		{"+zone=a", "region=eu,zone=b", "+zone=a"},
		{"+zone=a", "", "+zone=a"},
		{"-zone=a", "", ""},
		{" +region=eu , -zone=c", "region=eu,zone=c", "-zone=c"},
		{"+region=eu,-zone=c", "region=eu,zone=b", ""},
	} {
		cs, err := ParseConstraints(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		broken, is := cs.Broken(at(c.at))
		if is != (c.broken != "") || is && broken.String() != c.broken {
			t.Errorf("%q at %q: broken %v %v, want %q", c.text, c.at, broken, is, c.broken)
		}
		var back Constraints
		b, _ := json.Marshal(cs)
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, cs) {
			t.Errorf("%s became %v, %v", b, back, err)
		}
	}
	for _, bad := range []string{"zone=a", "+zone", "+=a", "+zone=a,", "+zone=a,-zone=a", "+zone=a,+zone=b", "-zone=a,-zone=a", "+zo ne=a", "*zone=a"} {
		if cs, err := ParseConstraints(bad); err == nil {
			t.Errorf("%q was read as %v", bad, cs)
		}
	}
}

func TestShared(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", MaxTiers}, {"zone=a", "", 0}, {"zone=a", "zone=b", 0}, {"zone=a", "zone=a", MaxTiers},
		{"region=eu,zone=a", "region=eu,zone=b", 1}, {"region=eu,zone=a", "region=us,zone=a", 0}, {"region=eu", "region=eu,zone=a", 1},
	} {
		a, _ := ParseLocality(c.a)
		b, _ := ParseLocality(c.b)
		if got := a.Shared(b); got != c.want {
			t.Errorf("%q and %q share %d tiers, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestPoolSpec(t *testing.T) {
	spec := func(replicas int, constraints, prefer string) PoolSpec {
		cs, err := ParseConstraints(constraints)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParsePreference(prefer)
		if err != nil {
			t.Fatal(err)
		}
		return PoolSpec{Replicas: replicas, Constraints: cs, PreferLeader: p}
	}
	for _, c := range []struct {
		spec PoolSpec
		ok   bool
	}{
		{spec(3, "+zone=a", "zone=a"), true}, {spec(1, "", "zone=a,disk=ssd"), true}, {spec(3, "+zone=a", "disk=ssd"), true},
		{spec(2, "", ""), false}, {spec(0, "", ""), false}, {spec(9, "", ""), false},
		{spec(3, "+zone=a", "zone=b"), false}, {spec(3, "-zone=a", "zone=a"), false},
	} {
		if err := c.spec.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.spec, err)
		}
	}
	for name, ok := range map[string]bool{"hot": true, "eu-west_1": true, "": false, "Hot": false, "1a": false, "a b": false} {
		if err := CheckPoolName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
