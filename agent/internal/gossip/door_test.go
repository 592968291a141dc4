package gossip

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logsample"
)

// TestDoor runs over real sockets: what the door does not let in is not served.
func TestDoor(t *testing.T) {
	var asked atomic.Int64
	var open atomic.Bool
	node := func(id cluster.NodeID, door func(net.Conn) net.Conn) *Gossip {
		g, err := New(Config{Self: id, UUID: uuidOf(id), ClusterID: testCluster, BindAddr: "127.0.0.1:0", Keys: [][]byte{testKey(1)}, Door: door})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
		return g
	}
	one := node(1, func(c net.Conn) net.Conn {
		asked.Add(1)
		if !open.Load() {
			_ = c.Close()
			return nil
		}
		return c
	})
	two := node(2, func(c net.Conn) net.Conn { return c })
	there := []Seed{{Node: 1, UUID: uuidOf(1), Addr: one.Addr()}}
	if err := two.Join(there); err == nil || asked.Load() == 0 {
		t.Errorf("a closed door: got %v, asked %d times", err, asked.Load())
	}
	open.Store(true)
	before := asked.Load()
	if err := two.Join(there); err != nil || asked.Load() == before {
		t.Errorf("an open door: got %v, asked %d times", err, asked.Load())
	}
}

// TestForeignTrafficIsSampled writes what memberlist says of strangers' datagrams.
func TestForeignTrafficIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		w := &logWriter{logger: log, foreign: logsample.New(log), trigger: func() {}, heard: func(string, time.Time) {}}
		for i := range 8000 {
			if _, err := fmt.Fprintf(w, "[ERR] memberlist: discarding packet with unacceptable label \"x%d\": from=10.0.0.%d\n", i, i%250); err != nil {
				t.Fatal(err)
			}
		}
		w.foreign.Close()
		if lines := strings.Count(out.String(), "\n"); lines != 11 || !strings.Contains(out.String(), "count=7990") {
			t.Errorf("%d lines of 8000:\n%s", lines, out.String())
		}
	})
}
