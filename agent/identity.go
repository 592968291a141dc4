package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Exit codes of nodedb-agent.
const (
	ExitUsage       = 2
	ExitUnreachable = 69 // cannot reach the cluster (join)
	ExitDataDir     = 73 // data directory unusable
	ExitStoreLost   = 74 // the store lost what it had synced
	ExitIdentity    = 78 // decommissioned, wrong identity, or a binary that does not fit the cluster
)

// ExitError is an error with the code that the process ends with.
type ExitError struct {
	Code    int
	Message string
	Err     error // may be nil
}

func (e *ExitError) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *ExitError) Unwrap() error { return e.Err }

// StoreLost is what a node ends with whose store is older than what it once told:
// the votes and acknowledgements in between are forgotten, so it may not take
// part. how says who found it, and by what.
func StoreLost(dir, how string) *ExitError {
	return &ExitError{Code: ExitStoreLost, Message: fmt.Sprintf(
		"the store lost what it had synced: %s. If %s is a copy, a restored backup or a snapshot of a volume, put the right disk back; if that is lost or damaged, run nodedb-agent reset --data-dir %s and start the node again: it empties the store and gets everything from the other nodes", how, dir, dir)}
}

// identityFormat is the version of identity.json and of the data directory. 1 was
// before the first release: its store has another order of keys.
const identityFormat = 2

// Identity is who the node is: D/identity.json, written once by init or join.
type Identity struct {
	Format      int            `json:"format"`
	ClusterID   string         `json:"clusterId"`
	ClusterName string         `json:"clusterName"`
	Node        cluster.NodeID `json:"node"`
	Name        string         `json:"name"`
	UUID        string         `json:"uuid"`
	// Started says that the store has been in use: if it is empty then, its disk
	// was lost.
	Started bool `json:"started,omitempty"`
	// Boots are the nonces of incarnations: the last that the meta range recorded,
	// and those that may have been recorded since. A copy of the directory falls
	// behind and is refused.
	Boots []string `json:"boots,omitempty"`
}

// maxBoots bounds Boots for a node that keeps ending before it is recorded; the
// first, which was recorded, stays.
const maxBoots = 64

// addBoot remembers an incarnation before it may be recorded.
func (id *Identity) addBoot(nonce string) {
	if len(id.Boots) >= maxBoots {
		id.Boots = append([]string{id.Boots[0]}, id.Boots[len(id.Boots)-maxBoots+2:]...)
	}
	id.Boots = append(slices.Clone(id.Boots), nonce)
}

// PeerAddress is where a member can be reached.
type PeerAddress struct {
	Node   cluster.NodeID `json:"node"`
	UUID   string         `json:"uuid"`
	RPC    string         `json:"rpc"`
	Gossip string         `json:"gossip"`
	Admin  string         `json:"admin"`
}

// paths of a data directory.
func identityPath(dir string) string  { return filepath.Join(dir, "identity.json") }
func certsPath(dir string) string     { return filepath.Join(dir, "certs") }
func gossipKeyPath(dir string) string { return filepath.Join(dir, "gossip.key") }
func storePath(dir string) string     { return filepath.Join(dir, "store") }
func lockPath(dir string) string      { return filepath.Join(dir, "LOCK") }

// SocketPath is the unix socket of the node that runs in dir.
func SocketPath(dir string) string { return filepath.Join(dir, "agent.sock") }

// LoadIdentity reads who the node in dir is.
func LoadIdentity(dir string) (Identity, error) {
	var id Identity
	b, err := os.ReadFile(identityPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return id, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s holds no node: run nodedb-agent init or join first", dir)}
	}
	if err != nil {
		return id, &ExitError{Code: ExitDataDir, Message: "read the node's identity", Err: err}
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, &ExitError{Code: ExitDataDir, Message: identityPath(dir) + " is damaged", Err: err}
	}
	if id.Format > identityFormat {
		return id, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s has format %d, this binary knows %d at most: start it with the newer nodedb-agent", dir, id.Format, identityFormat)}
	}
	if id.Format == 1 {
		return id, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s was written by a nodedb-agent from before the first release, whose format 1 cannot be read or converted: keep that binary to read it, or make the node anew with init or join in an empty directory", dir)}
	}
	if id.Format < 1 || id.Node == 0 || id.UUID == "" || id.ClusterID == "" {
		return id, &ExitError{Code: ExitDataDir, Message: identityPath(dir) + " is incomplete: restore it, or wipe the directory and join as a new node"}
	}
	return id, nil
}

// saveIdentity replaces identity.json, durably and at once.
func saveIdentity(dir string, id Identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return writeFileSync(identityPath(dir), append(b, '\n'))
}

// writeFileSync replaces a file so that a crash leaves the old one or the new.
func writeFileSync(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the renames in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// dirLock keeps a second process out of a data directory.
type dirLock struct{ f *os.File }

// lockWait is how long a start waits for the process before it, which may still
// be stopping: a drain ends a moment before its process does.
const lockWait = 5 * time.Second

// lockDir takes the lock, which the kernel releases when the process ends. It
// waits for it no longer than wait.
func lockDir(dir string, wait time.Duration) (*dirLock, error) {
	f, err := os.OpenFile(lockPath(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &ExitError{Code: ExitDataDir, Message: "lock the data directory", Err: err}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(wait); syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; <-tick.C {
		if !time.Now().Before(until) {
			_ = f.Close()
			return nil, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s is in use by another process", dir)}
		}
	}
	return &dirLock{f: f}, nil
}

func (l *dirLock) release() { _ = l.f.Close() }
