package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// LocalReport is what a stopped node's data directory says. Its JSON form is the
// kind LocalReport of nodedbctl; fields are only ever added.
type LocalReport struct {
	DataDir        string       `json:"dataDir"`
	Cluster        string       `json:"cluster"`
	ClusterID      string       `json:"clusterId"`
	Node           uint32       `json:"node"`
	Name           string       `json:"name"`
	UUID           string       `json:"uuid"`
	Started        bool         `json:"started"`
	Decommissioned bool         `json:"decommissioned"`
	StoreOwner     *string      `json:"storeOwner"` // UUID in the store; null: a store that was never used
	StoreBytes     uint64       `json:"storeBytes"`
	MetaIndex      uint64       `json:"metaIndex"` // of this node's copy of the meta range
	Nodes          []LocalNode  `json:"nodes"`     // as that copy has them
	Ranges         []LocalRange `json:"ranges"`
	Problems       []string     `json:"problems"`
}

// LocalNode is a node as the copy of the meta range has it.
type LocalNode struct {
	ID         uint32 `json:"id"`
	Name       string `json:"name"`
	Membership string `json:"membership"`
	RPC        string `json:"rpc"`
	Admin      string `json:"admin"`
}

// LocalRange is a stored replica.
type LocalRange struct {
	ID         uint32   `json:"id"`
	Meta       bool     `json:"meta"`
	Start      uint32   `json:"start"` // the vshards [start, end) of which it owns a part
	End        uint32   `json:"end"`
	Pool       string   `json:"pool,omitempty"` // of a data range
	StartKey   string   `json:"startKey"`       // hex
	EndKey     string   `json:"endKey"`
	Generation uint64   `json:"generation"`
	Replica    uint64   `json:"replica"`
	Voters     []uint32 `json:"voters"`
	Learners   []uint32 `json:"learners"`
	HasState   bool     `json:"hasState"`
	Term       uint64   `json:"term"`
	Vote       uint64   `json:"vote"`
	Commit     uint64   `json:"commit"`
	Applied    uint64   `json:"applied"`
	FirstIndex uint64   `json:"firstIndex"`
	LastIndex  uint64   `json:"lastIndex"`
	LogBytes   int64    `json:"logBytes"`
	Bytes      int64    `json:"bytes"`
	// Keys, LiveBytes and DeadBytes are nil while the replica has not counted them.
	Keys      *int64 `json:"keys"`
	LiveBytes *int64 `json:"liveBytes"`
	DeadBytes *int64 `json:"deadBytes"`
	Error     string `json:"error,omitempty"`
}

// DebugLocal reads the data directory of a node that does not run. It changes
// nothing there. What cannot be read is a problem in the report, not an error.
func DebugLocal(dataDir string) (*LocalReport, error) {
	id, err := LoadIdentity(dataDir)
	if err != nil {
		return nil, err
	}
	release, err := lockToRead(dataDir)
	if err != nil {
		return nil, err
	}
	defer release()
	r := &LocalReport{
		DataDir: dataDir, Cluster: id.ClusterName, ClusterID: id.ClusterID, Node: uint32(id.Node), Name: id.Name, UUID: id.UUID, Started: id.Started,
		Nodes: []LocalNode{}, Ranges: []LocalRange{}, Problems: []string{},
	}
	if err := refuseDecommissioned(dataDir, id); err != nil {
		r.Decommissioned = true
		r.Problems = append(r.Problems, err.Error())
	}
	if _, err := os.Stat(storePath(dataDir)); errors.Is(err, fs.ErrNotExist) {
		r.Problems = append(r.Problems, "there is no store: the node has never run, or its store was removed")
		return r, nil
	}
	engine, err := storage.Open(storage.Options{Dir: storePath(dataDir), ReadOnly: true})
	if errors.Is(err, storage.ErrCorruption) {
		err = StoreLost(dataDir, err.Error())
	}
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
		return r, nil
	}
	r.readStore(engine, id)
	if err := engine.Close(); err != nil {
		r.Problems = append(r.Problems, "close the store: "+err.Error())
	}
	return r, nil
}

// lockToRead keeps a node from starting in dir, and refuses one that runs.
func lockToRead(dir string) (release func(), err error) {
	f, err := os.Open(lockPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // it has never run
	}
	if err != nil {
		return nil, &ExitError{Code: ExitDataDir, Message: "lock the data directory", Err: err}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("a node runs in %s: ask it (nodedbctl nodes show, nodedbctl debug bundle), or stop it first", dir)}
	}
	return func() { _ = f.Close() }, nil
}

func (r *LocalReport) readStore(engine *storage.Engine, id Identity) {
	note := func(what string, err error) {
		if err != nil {
			r.Problems = append(r.Problems, what+": "+err.Error())
		}
	}
	r.StoreBytes = engine.SizeOnDisk()
	b, ok, err := engine.Get(keys.StoreIdent())
	note("read the store's identity", err)
	if ok {
		var owner storeIdent
		note("the store's identity is damaged", json.Unmarshal(b, &owner))
		r.StoreOwner = &owner.UUID
		if owner.UUID != id.UUID {
			note("identity", fmt.Errorf("the store belongs to %s, the directory to %s: one of them was copied from elsewhere", owner.UUID, id.UUID))
		}
	}
	ids, err := replica.List(engine)
	note("list the replicas", err)
	for _, rid := range ids {
		s, err := replica.ReadStored(engine, rid)
		r.Ranges = append(r.Ranges, newLocalRange(rid, s, err))
	}
	if !slices.Contains(ids, cluster.MetaRangeID) {
		return
	}
	m := metastate.New()
	note("read the meta range", m.Reload(engine, nil))
	v := m.View()
	r.MetaIndex = v.Index
	for _, nid := range v.NodeIDs() {
		n := v.Nodes[nid]
		r.Nodes = append(r.Nodes, LocalNode{ID: uint32(nid), Name: n.Name, Membership: string(n.Membership), RPC: n.Addresses.RPC, Admin: n.Addresses.Admin})
	}
}

func newLocalRange(id cluster.RangeID, s *replica.Stored, err error) LocalRange {
	out := LocalRange{ID: uint32(id), Voters: []uint32{}, Learners: []uint32{}}
	if err != nil {
		out.Error = err.Error()
	}
	if s == nil {
		return out
	}
	d := &s.Descriptor
	first, end := d.VShards()
	out.Meta, out.Start, out.End, out.Generation = d.IsMeta(), uint32(first), uint32(end), d.Generation
	if out.StartKey, out.EndKey = d.Start.Hex(), d.End.Hex(); !d.IsMeta() {
		out.Pool = d.Pool.String()
	}
	for _, n := range d.Voters() {
		out.Voters = append(out.Voters, uint32(n))
	}
	for _, n := range d.Learners() {
		out.Learners = append(out.Learners, uint32(n))
	}
	out.Replica, out.HasState, out.Term, out.Vote, out.Commit = uint64(s.Replica), s.HasState, s.Term, s.Vote, s.Commit
	out.Applied, out.FirstIndex, out.LastIndex, out.LogBytes, out.Bytes = s.Applied, s.First, s.Last, s.LogBytes, s.Counts.Bytes()
	if s.Counted && s.HasState {
		out.Keys, out.LiveBytes, out.DeadBytes = new(s.Counts.Rows), new(s.Counts.Live), new(s.Counts.Dead)
	}
	return out
}
