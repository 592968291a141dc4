package metastate

import (
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestEventsRing fills the ring over: the newest stay, their sequence goes on,
// and a view that was taken before keeps its own.
func TestEventsRing(t *testing.T) {
	m := newTester()
	m.command(t, initCommand())
	before := m.View()
	first := before.LastEvent()
	const rounds = maxEvents/maxRecorded + 2
	for i := range rounds {
		var in RecordEvents
		for j := range maxRecorded {
			in.Events = append(in.Events, cluster.Event{Kind: "node.alive", Text: fmt.Sprint(i, j)})
		}
		b, err := EncodeCommand(Command{RecordEvents: &in})
		if err != nil {
			t.Fatal(err)
		}
		m.index++
		if _, err := m.apply(m.store, m.index, 0, b); err != nil {
			t.Fatal(err)
		}
	}
	v := m.View()
	if got, want := v.LastEvent(), first+rounds*maxRecorded; got != want {
		t.Fatalf("last sequence %d, want %d", got, want)
	}
	if len(v.Events) != maxEvents {
		t.Fatalf("%d events are kept, want %d", len(v.Events), maxEvents)
	}
	if got := dump(t, m.store.reload(t).View()); got != dump(t, v) {
		t.Fatal("the ring differs after reload")
	}
	if before.LastEvent() != first {
		t.Fatalf("an old view has the event %d, want %d", before.LastEvent(), first)
	}
	if got := v.EventsAfter(v.LastEvent() - 3); len(got) != 3 || got[0].Sequence != v.LastEvent()-2 {
		t.Fatalf("EventsAfter gave %d events", len(got))
	}
	if got := v.EventsAfter(0); len(got) != maxEvents {
		t.Fatalf("EventsAfter(0) gave %d events", len(got))
	}
}
