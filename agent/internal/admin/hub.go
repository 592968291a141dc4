package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

const (
	// lookLeast is the least time between two fan-outs, lookShare how many times
	// as long as one took at least: watches may not load the cluster they watch.
	lookLeast   = 250 * time.Millisecond
	lookShare   = 4
	lookTimeout = 2 * time.Second // for each node
	glanceGap   = 100 * time.Millisecond
	// rebalanceGap is the least time between two answers of topic rebalance: the
	// planner asks the nodes for itself.
	rebalanceGap = 5 * time.Second
	eventsKept   = 1000
	itemsShown   = 100 // of an operation
)

// hub looks at the cluster for all watches of this node: one fan-out serves them
// all, and none is made while there is no watch. It keeps what it saw by the
// stamp of the change, so that each watch, also one that comes back, is told
// only what it has not seen.
type hub struct {
	service *service
	logger  *slog.Logger
	epoch   string // of this process's stamps
	kick    chan struct{}

	// wait lets Close wait for the loop.
	wait sync.WaitGroup

	// The loop alone writes the ledgers, under mu; it may read them without.
	nodes      *ledger[uint32, *adminpb.Node]
	ranges     *ledger[uint32, *adminpb.Range]
	operations *ledger[string, *seenOperation]
	pools      *ledger[uint32, *adminpb.Pool]
	ranged     []*rangeSight // in ranges
	rebalanced time.Time     // when the loop asked for topic rebalance

	mu struct {
		sync.Mutex
		watches []*watching
		running bool               // the loop
		cancel  context.CancelFunc // ends the look that is being made
		closed  bool

		stamp  uint64 // of the last change
		begun  uint64 // looks begun
		done   uint64 // looks done
		at     time.Time
		covers topic         // topics of the last look
		news   chan struct{} // closed when something changed, or a look was done

		asOf      *adminpb.AsOf
		status    single[*adminpb.GetStatusResponse]
		members   single[*adminpb.ListMembersResponse]
		rebalance single[*adminpb.GetRebalanceResponse]
		events    []*adminpb.Event // by sequence, the newest eventsKept
	}
}

// single is a topic of one message.
type single[T any] struct {
	value T
	stamp uint64
}

// seenOperation is an operation as shown, with the record that it was made of.
type seenOperation struct {
	record *cluster.Operation
	shown  *adminpb.Operation
}

func newHub(s *service, logger *slog.Logger) *hub {
	var epoch [6]byte
	_, _ = rand.Read(epoch[:])
	h := &hub{
		service: s, logger: logger, epoch: hex.EncodeToString(epoch[:]), kick: make(chan struct{}, 1),
		nodes:  newLedger[uint32](func(a, b *adminpb.Node) bool { return proto.Equal(a, b) }),
		ranges: newLedger[uint32](func(a, b *adminpb.Range) bool { return proto.Equal(a, b) }),
		pools:  newLedger[uint32](func(a, b *adminpb.Pool) bool { return proto.Equal(a, b) }),
		// Records are immutable: another pointer is another state.
		operations: newLedger[string](func(a, b *seenOperation) bool { return a.record == b.record }),
	}
	h.mu.news, h.mu.cancel = make(chan struct{}), func() {}
	return h
}

// join adds w; the first watch starts the loop.
func (h *hub) join(w *watching) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.closed {
		return &Error{Kind: KindUnavailable, Elsewhere: true, Message: "this node stops"}
	}
	h.mu.watches = append(h.mu.watches, w)
	w.need = h.mu.done
	if !h.mu.running || h.mu.covers&w.topics != w.topics || time.Since(h.mu.at) > w.interval {
		w.need = h.mu.begun + 1
		h.prod()
	}
	if !h.mu.running {
		h.mu.running = true
		h.wait.Go(h.run)
	}
	return nil
}

// leave removes w; without a watch the loop ends. What was seen is kept for
// those that come back.
func (h *hub) leave(w *watching) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.watches = slices.DeleteFunc(h.mu.watches, func(o *watching) bool { return o == w })
	if len(h.mu.watches) == 0 {
		h.mu.cancel()
		h.prod()
	}
}

// Close ends the loop and takes no more watches.
func (h *hub) Close() {
	h.mu.Lock()
	h.mu.closed = true
	h.mu.cancel()
	h.prod()
	h.mu.Unlock()
	h.wait.Wait()
}

// prod makes the loop look at once.
func (h *hub) prod() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// run looks until there is no watch.
func (h *hub) run() {
	changed := make(chan struct{}, 1)
	defer h.service.backend.Subscribe(func(*metastate.View) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	for {
		ctx, end, ok := h.begin()
		if !ok {
			return
		}
		began := time.Now()
		h.look(ctx)
		end()
		h.pause(began, changed)
	}
}

// begin makes the context of a look; not ok: nobody wants one.
func (h *hub) begin() (ctx context.Context, end context.CancelFunc, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.closed || len(h.mu.watches) == 0 {
		h.mu.running = false
		return nil, nil, false
	}
	ctx, h.mu.cancel = context.WithCancel(context.Background())
	h.mu.begun++
	return ctx, h.mu.cancel, true
}

// pause waits for the next look. Changes of the metadata are shown meanwhile:
// they need no question to any node.
func (h *hub) pause(began time.Time, changed <-chan struct{}) {
	gap := max(h.interval(), lookLeast, lookShare*time.Since(began))
	next := time.NewTimer(gap - time.Since(began))
	defer next.Stop()
	glance := time.NewTimer(0)
	defer glance.Stop()
	<-glance.C
	wanted := changed
	for {
		select {
		case <-h.kick:
			return
		case <-next.C:
			return
		case <-wanted:
			wanted = nil // until the glance: many changes are one
			glance.Reset(glanceGap)
		case <-glance.C:
			wanted = changed
			h.glance()
		}
	}
}

// interval is that of the watch that is told most often.
func (h *hub) interval() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	least := seconds(intervalMost)
	for _, w := range h.mu.watches {
		least = min(least, w.interval)
	}
	return least
}

// wanted are the topics of all watches.
func (h *hub) wanted() topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all topic
	for _, w := range h.mu.watches {
		all |= w.topics
	}
	return all
}

func (h *hub) news() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.news
}

func (h *hub) asOf() *adminpb.AsOf {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.asOf
}
