package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// What a disk is judged by, besides DiskStall and DiskExit. The bounds apart, and
// the calm that is asked for, keep a disk that is on the edge from moving
// leaderships to and fro.
const (
	// slowSync is a median of syncs that no disk for data should have: a spinning one
	// has a tenth of it.
	slowSync = 100 * time.Millisecond
	// wellSync and diskCalm are what ends it: syncs this short, for so long.
	wellSync = 50 * time.Millisecond
	diskCalm = 30 * time.Second
	// diskLook is how often a node looks at its disk while something on it takes long,
	// diskRest how often at least: then it asks the file system for room, too.
	diskLook = 100 * time.Millisecond
	diskRest = time.Second
)

// diskJudge says how a disk does, from what is under way on it and its last syncs.
type diskJudge struct {
	stall time.Duration
	state cluster.DiskState
	worst time.Duration // when it was last seen to be slow; of a monotonic clock
}

// look judges anew, at a time of a monotonic clock, and reports whether the state is
// another one.
func (j *diskJudge) look(now, age time.Duration, s storage.Syncs) (changed bool) {
	was := j.state
	slow := s.Median >= slowSync || was == cluster.DiskSlow && s.Median >= wellSync
	if age >= j.stall || slow {
		j.worst = now
	}
	switch {
	case age >= j.stall:
		j.state = cluster.DiskHung
	case slow, was == cluster.DiskHung, was == cluster.DiskSlow && now-j.worst < diskCalm:
		j.state = cluster.DiskSlow
	default:
		j.state = cluster.DiskWell
	}
	return j.state != was
}

// pause returns how long nothing can be seen that was not seen now: neither what is
// under way, whose age is given, nor what begins is to be judged before. It ends one
// look early: after a long pause an age alone does not tell a disk that hangs from a
// process that was held up.
func (j *diskJudge) pause(age time.Duration) time.Duration {
	if j.state == cluster.DiskHung {
		return diskLook // its age is told
	}
	return min(max(j.stall-diskLook-age, diskLook), diskRest)
}

// diskBoard is what the node says of its disk.
type diskBoard struct {
	mu     sync.Mutex
	status cluster.DiskStatus
}

func (b *diskBoard) get() cluster.DiskStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

func (b *diskBoard) set(s cluster.DiskStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = s
}

// watchDisk looks at what is under way on the store's disk, asking nobody who may
// wait for it, until the process ends.
func (n *Node) watchDisk(ctx context.Context) {
	begun := time.Now()
	j := diskJudge{stall: n.cfg.DiskStall, state: cluster.DiskWell}
	timer := time.NewTimer(diskRest)
	defer timer.Stop()
	last, roomAt := time.Duration(0), -diskRest
	for {
		now := time.Since(begun)
		st, age := n.lookAtDisk()
		seen := age
		if now-last > n.cfg.DiskStall/2 {
			age = 0 // the process was held up itself, and the disk is not to blame
		}
		last = now
		changed := j.look(now, age, n.engine.Disk().Syncs())
		st.State = j.state
		n.disk.set(st)
		if now-roomAt >= diskRest-diskLook {
			roomAt = now
			n.lookAtRoom()
		}
		if changed {
			n.diskChanged(st)
		}
		if age >= n.cfg.DiskExit {
			n.abandon("the disk hangs", diskHangs(st.Path, st.Operation, age))
			return
		}
		timer.Reset(j.pause(seen))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

func diskHangs(path, operation string, age time.Duration) *ExitError {
	return &ExitError{Code: ExitDataDir, Message: fmt.Sprintf(
		"the disk of %s hangs: %s has taken %s so far; nothing that was acknowledged is lost; look at the disk (dmesg, iostat -x), then start the node again, or decommission it", path, operation, age.Round(time.Second))}
}

// tellOpening is how often the log says how far the opening of the store is.
const tellOpening = 2 * time.Second

// watchOpening looks at the disk while the store is opened and the replicas are
// loaded, when nothing of the node answers anybody yet. The log says what it waits
// for, and how far the reading of the store's log is.
func (n *Node) watchOpening(w *storage.Watch) {
	path := storePath(n.cfg.DataDir)
	tick := time.NewTicker(diskLook)
	defer tick.Stop()
	last, told, hangs := time.Now(), time.Now(), false
	for {
		select {
		case <-n.opened:
			return
		case <-tick.C:
		}
		op, ok := w.Oldest()
		age, late := op.Age, time.Since(last) > n.cfg.DiskStall/2
		if last = time.Now(); !ok || late {
			age = 0 // or the process was held up itself
		}
		operation := op.Kind + " " + filepath.Base(op.Path)
		if age >= n.cfg.DiskExit {
			n.abandon("the disk hangs", diskHangs(path, operation+", while the store is opened,", age))
			return
		}
		if hung := age >= n.cfg.DiskStall; hung != hangs {
			hangs = hung
			n.logger.Warn("disk, while the store is opened", slog.Bool("hangs", hung), slog.String("operation", operation), slog.String("path", path))
		}
		if time.Since(told) >= tellOpening {
			told = time.Now()
			r := w.Reading()
			n.logger.Info("the store is being opened", slog.String("doing", r.What), slog.Int64("bytes", r.Done), slog.Int64("of", r.Total))
		}
	}
}

// reserve returns how much of a disk is kept.
func (c *Config) reserve(total uint64) uint64 {
	if c.DiskReserve > 0 {
		return c.DiskReserve
	}
	return min(total/20, 1<<30)
}

// lookAtRoom finds out whether only the reserve is left of the disk, or a quarter of
// that. A quarter more than the reserve, or half of it, ends that: it is not full and
// not full by turns.
func (n *Node) lookAtRoom() {
	used, total := n.usage.disk()
	if total == 0 {
		return
	}
	free, keep := total-used, n.cfg.reserve(total)
	was := n.room()
	switch full := n.full.Load(); {
	case !full && free < keep:
		n.full.Store(true)
		n.tellRoom(cluster.EventDiskFull, cluster.SeverityWarn, "the disk of %s is full but for its reserve: ranges most of whose nodes are take no more rows", free, keep)
	case full && free >= keep+keep/4:
		n.full.Store(false)
		n.tellRoom(cluster.EventDiskRoom, cluster.SeverityInfo, "the disk of %s has room again", free, keep)
	}
	switch spent := n.spent.Load(); {
	case !spent && free < keep/4:
		n.spent.Store(true)
		n.tellRoom(cluster.EventDiskFull, cluster.SeverityError, "even the reserve of the disk of %s is nearly used up: it takes no entries of the log, and falls behind", free, keep)
	case spent && free >= keep/2:
		n.spent.Store(false)
		n.tellRoom(cluster.EventDiskRoom, cluster.SeverityInfo, "the disk of %s has some of its reserve again: it takes entries of the log, and catches up", free, keep)
	}
	if room := n.room(); room != was {
		n.store.DiskRoom(room)
	}
}

// room is what was found last.
func (n *Node) room() store.Room {
	switch {
	case n.spent.Load():
		return store.RoomNone
	case n.full.Load():
		return store.RoomReserve
	default:
		return store.RoomEnough
	}
}

// tellRoom leaves in the log and in the cluster's event log what room a disk has.
func (n *Node) tellRoom(kind cluster.EventKind, severity cluster.EventSeverity, text string, free, keep uint64) {
	text = fmt.Sprintf(text, n.id.Node)
	n.logger.Warn(text, slog.Uint64("freeBytes", free), slog.Uint64("reserveBytes", keep))
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
		Kind: kind, Severity: severity, Node: n.id.Node, Source: n.id.Node, Text: text,
		Data: map[string]string{"path": storePath(n.cfg.DataDir), "freeBytes": fmt.Sprint(free), "reserveBytes": fmt.Sprint(keep)},
	}}}})
}

// lookAtDisk returns how the disk does, without a state.
func (n *Node) lookAtDisk() (st cluster.DiskStatus, age time.Duration) {
	st.Path = storePath(n.cfg.DataDir)
	syncs := n.engine.Disk().Syncs()
	st.SyncMedian, st.SyncLongest = syncs.Median.Seconds(), syncs.Longest.Seconds()
	if op, ok := n.engine.Disk().Oldest(); ok {
		age, st.Operation = op.Age, op.Kind+" "+filepath.Base(op.Path)
	}
	// The batch may wait for more than its own sync, a memtable that is full say.
	if written := n.store.WriteAge(); written > age {
		age = written
		if st.Operation == "" {
			st.Operation = "a write of the log"
		}
	}
	st.Age = age.Seconds()
	return st, age
}

// diskChanged tells everybody who has to know.
func (n *Node) diskChanged(st cluster.DiskStatus) {
	n.store.DiskHangs(st.State == cluster.DiskHung)
	e := cluster.Event{Node: n.id.Node, Source: n.id.Node, Data: map[string]string{
		"path": st.Path, "operation": st.Operation, "age": fmt.Sprintf("%.1f", st.Age), "syncMedian": fmt.Sprintf("%.3f", st.SyncMedian),
	}}
	switch st.State {
	case cluster.DiskHung:
		e.Kind, e.Severity = cluster.EventDiskHung, cluster.SeverityError
		e.Text = fmt.Sprintf("the disk of %s hangs: %s of %s has taken %.1f s so far; its leaderships go elsewhere", n.id.Node, st.Operation, st.Path, st.Age)
		n.board.Set(health.Problem{Component: "disk", Code: "disk-hung", Detail: e.Text})
		if n.stopping() {
			n.forsake.Do(func() { close(n.forsaken) })
		}
	case cluster.DiskSlow:
		e.Kind, e.Severity = cluster.EventDiskSlow, cluster.SeverityWarn
		e.Text = fmt.Sprintf("the disk of %s is slow: syncs of %s take %.0f ms in the median, %.0f at most; others lead before it does", n.id.Node, st.Path, 1000*st.SyncMedian, 1000*st.SyncLongest)
		n.board.Clear("disk")
	default:
		e.Kind, e.Severity = cluster.EventDiskWell, cluster.SeverityInfo
		e.Text = fmt.Sprintf("the disk of %s is well again: syncs of %s take %.0f ms in the median; leaderships may come back", n.id.Node, st.Path, 1000*st.SyncMedian)
		n.board.Clear("disk")
	}
	n.logger.Warn("disk", logattr.To(string(st.State)), logattr.Reason(e.Text), slog.String("path", st.Path))
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{e}}})
}

// flush writes what is in memory to tables, if the disk answers: it spares the next
// start the reading of the log, and nothing else.
func (n *Node) flush(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- n.engine.Flush() }()
	tick := time.NewTicker(diskLook)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if n.disk.get().State == cluster.DiskHung {
			n.logger.Warn("the store is not flushed: its disk hangs; the log has all of it")
			return nil
		}
	}
}

func (n *Node) stopping() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.stopping
}

// abandonAfter is how long a node whose disk hangs may take to stop in order: what
// waits for the disk does not stop.
const abandonAfter = 3 * time.Second

// abandon ends the node whatever waits for its disk.
func (n *Node) abandon(why string, exit error) {
	n.stop(why, exit)
	n.forsake.Do(func() { close(n.forsaken) })
}
