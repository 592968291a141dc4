package statusboard_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// fill sets every field of a value to something that is not zero.
func fill(t *testing.T, rng *rand.Rand, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, rng, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(rng.Int64N(1<<32), 0).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(t, rng, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, rng, v.Index(i))
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[cluster.ReplicaRole]() {
			v.SetString([]string{"voter", "learner", "incoming", "outgoing"}[rng.IntN(4)])
			return
		}
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1 + rng.Uint64N(200))
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + rng.Int64N(200))
	case reflect.Float64:
		v.SetFloat(1 + rng.Float64())
	default:
		t.Fatalf("a field of kind %s: teach fill", v.Kind())
	}
}

// TestEveryFieldTravels: whoever adds a field to what a node says of a range or of
// a peer finds out here that the packed form lacks it, or that a change of it alone
// would be no news.
func TestEveryFieldTravels(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 2))
	full := &cluster.RangeStatus{}
	fill(t, rng, reflect.ValueOf(full).Elem())
	peer := &cluster.PeerStatus{}
	fill(t, rng, reflect.ValueOf(peer).Elem())
	src := newSource()
	src.Ranges.Put(full.Descriptor.ID, full)
	src.Peers.Put(3, peer)
	got := travel(t, src, statusboard.Request{})
	if !reflect.DeepEqual(got.Ranges.Changed[0].Value, full) {
		t.Errorf("sent     %+v\nreceived %+v", full, got.Ranges.Changed[0].Value)
	}
	if !reflect.DeepEqual(got.Peers.Changed[0].Value, peer) {
		t.Errorf("sent     %+v\nreceived %+v", peer, got.Peers.Changed[0].Value)
	}
	eachField(reflect.ValueOf(*full), nil, func(path []int) {
		x := *full
		x.Descriptor.Replicas, x.Progress = slices.Clone(full.Descriptor.Replicas), slices.Clone(full.Progress)
		load, lease := *full.Load, *full.Lease
		x.Load, x.Lease = &load, &lease
		f := reflect.ValueOf(&x).Elem().FieldByIndex(path)
		f.Set(reflect.Zero(f.Type()))
		if statusboard.Ranges().Same(full, &x) {
			t.Errorf("a change of field %v of a range's status is no news", path)
		}
	})
}

// eachField calls fn with the path of each field that is no struct, but for those
// behind pointers and in slices.
func eachField(v reflect.Value, path []int, fn func(path []int)) {
	for i := range v.NumField() {
		at := append(slices.Clone(path), i)
		if v.Field(i).Kind() == reflect.Struct && v.Field(i).Type() != reflect.TypeFor[time.Time]() {
			eachField(v.Field(i), at, fn)
			continue
		}
		fn(at)
	}
}

func newSource() *statusboard.Source {
	return &statusboard.Source{
		Head:   func() cluster.NodeStatus { return cluster.NodeStatus{Node: 1, BootNonce: "a"} },
		Ranges: newBoard(), Peers: statusboard.New[cluster.NodeID](statusboard.Peers()),
	}
}

// travel is an answer as the asker gets it.
func travel(t testing.TB, src *statusboard.Source, r statusboard.Request) statusboard.Answer {
	t.Helper()
	a := src.Answer(r)
	b, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := statusboard.DecodeAnswer(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestCopyFollows: through random changes, restarts, questions that got lost and
// answers that overtook each other a Copy says what the node says.
func TestCopyFollows(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	life := "a"
	src := newSource()
	src.Head = func() cluster.NodeStatus { return cluster.NodeStatus{Node: 1, BootNonce: life} }
	c := &statusboard.Copy{}
	var late *statusboard.Answer
	for step := range 5000 {
		change(rng, src)
		switch rng.IntN(12) {
		case 0: // lost
			travel(t, src, statusboard.Request{Have: c.Have()})
		case 1:
			if a := travel(t, src, statusboard.Request{Have: c.Have()}); a.Ranges.From > 0 {
				late = &a
			}
		case 2:
			if late != nil && late.Head.BootNonce == life { // the transport ends calls of an earlier life
				if _, _, err := c.Apply(*late); err != nil {
					t.Fatalf("step %d: a late answer: %v", step, err)
				}
			}
		case 3:
			if rng.IntN(10) == 0 {
				life += "a"
				src.Ranges, src.Peers = newBoard(), statusboard.New[cluster.NodeID](statusboard.Peers())
			}
		default:
			follow(t, src, c, step)
		}
	}
}

func change(rng *rand.Rand, src *statusboard.Source) {
	id := cluster.RangeID(rng.IntN(30) + 1)
	if rng.IntN(6) == 0 {
		src.Ranges.Drop(id)
	} else {
		src.Ranges.Put(id, status(id, uint64(rng.IntN(3)), uint64(rng.IntN(5))))
	}
	if peer := cluster.NodeID(rng.IntN(5) + 2); rng.IntN(6) == 0 {
		src.Peers.Drop(peer)
	} else {
		src.Peers.Put(peer, &cluster.PeerStatus{Failures: rng.IntN(3), RTT: rng.Float64()})
	}
}

func follow(t *testing.T, src *statusboard.Source, c *statusboard.Copy, step int) {
	t.Helper()
	got, _, err := c.Apply(travel(t, src, statusboard.Request{Have: c.Have()}))
	if err != nil {
		t.Fatalf("step %d: %v", step, err)
	}
	if want := src.Whole(); !reflect.DeepEqual(*got, want) {
		t.Fatalf("step %d: the node says\n%+v\nthe copy\n%+v", step, want, *got)
	}
}

// TestCopySharesWhatDidNotChange: readers find out what changed by comparing
// pointers.
func TestCopySharesWhatDidNotChange(t *testing.T) {
	src, c := newSource(), &statusboard.Copy{}
	for id := range cluster.RangeID(100) {
		src.Ranges.Put(id+1, status(id+1, 1, 1))
	}
	before, _, err := c.Apply(travel(t, src, statusboard.Request{}))
	if err != nil {
		t.Fatal(err)
	}
	src.Ranges.Put(50, status(50, 1, 2))
	after, news, err := c.Apply(travel(t, src, statusboard.Request{Have: c.Have()}))
	if err != nil || !news {
		t.Fatalf("news %v, error %v", news, err)
	}
	for i, st := range after.Ranges {
		if changed := st.Descriptor.ID == 50; (st != before.Ranges[i]) != changed {
			t.Errorf("%s: changed %v, another pointer %v", st.Descriptor.ID, changed, st != before.Ranges[i])
		}
	}
	if _, news, err := c.Apply(travel(t, src, statusboard.Request{Have: c.Have()})); news || err != nil {
		t.Errorf("nothing changed: news %v, error %v", news, err)
	}
	c.Forget()
	again, _, err := c.Apply(travel(t, src, statusboard.Request{Have: c.Have()}))
	if err != nil {
		t.Fatal(err)
	}
	for i, st := range again.Ranges {
		if st != after.Ranges[i] {
			t.Errorf("%s was sent again, and is another pointer", st.Descriptor.ID)
		}
	}
}

// TestBriefLeavesPingsOut: the coordinator hears of a breaker, not of each ping.
func TestBriefLeavesPingsOut(t *testing.T) {
	src, c := newSource(), &statusboard.Copy{}
	src.Peers.Put(2, &cluster.PeerStatus{Breaker: "closed", RTT: 0.1})
	ask := func() statusboard.Answer {
		a := travel(t, src, statusboard.Request{Have: c.Have(), Brief: true})
		if _, _, err := c.Apply(a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	ask()
	src.Peers.Put(2, &cluster.PeerStatus{Breaker: "closed", RTT: 0.2})
	if a := ask(); len(a.Peers.Changed) > 0 {
		t.Errorf("told of a ping: %+v", a.Peers.Changed)
	}
	src.Peers.Put(2, &cluster.PeerStatus{Breaker: "open", RTT: 0.2})
	if a := ask(); len(a.Peers.Changed) != 1 {
		t.Errorf("of a breaker that opened, %d peers are told", len(a.Peers.Changed))
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	src := newSource()
	src.Ranges.Put(1, status(1, 1, 1))
	src.Peers.Put(2, &cluster.PeerStatus{Breaker: "open"})
	a := src.Answer(statusboard.Request{})
	b, err := a.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := statusboard.DecodeAnswer(b)
		if err != nil {
			return
		}
		again, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := statusboard.DecodeAnswer(again); err != nil {
			t.Fatalf("what was decoded is no answer when encoded: %v", err)
		}
	})
}
