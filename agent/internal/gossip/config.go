package gossip

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// KeyLen is the length of a gossip key in bytes: AES-256.
const KeyLen = 32

// Config is what gossip needs.
type Config struct {
	Self      cluster.NodeID
	UUID      string
	ClusterID string
	// BindAddr is host:port to listen on, UDP and TCP; port 0 takes a free one.
	BindAddr string
	// AdvertiseAddr is host:port as other nodes reach it; empty: BindAddr. A host
	// name is resolved once.
	AdvertiseAddr string
	// Keys are the keys that are accepted, KeyLen bytes each; the first encrypts.
	Keys [][]byte
	// Admit refuses names that the meta range does not know; nil: all are let in.
	// It must not block.
	Admit func(cluster.NodeID, string) bool
	// Door is asked for each TCP connection from outside, and returns the one to
	// serve, or nil if there is no room; nil: all are served. It must not block.
	Door func(net.Conn) net.Conn
	// Seeds are the nodes that should be there: those that are not alive are
	// contacted every RejoinInterval. May be nil.
	Seeds func() []Seed
	// RejoinInterval is how often; default 5 s.
	RejoinInterval time.Duration
	// Timing; zero: Tuned().
	Timing Timing
	Logger *slog.Logger

	transport memberlist.Transport // tests run over a simulated network
}

// Seed is where a node can be contacted.
type Seed struct {
	Node cluster.NodeID
	UUID string
	Addr string // host:port
}

// Timing is how fast failures are noticed. A node is suspected after the first
// failed probe and dead after SuspicionMult x max(1, log10 of nodes) x
// ProbeInterval more.
type Timing struct {
	ProbeInterval           time.Duration
	ProbeTimeout            time.Duration
	SuspicionMult           int
	SuspicionMaxTimeoutMult int
	GossipInterval          time.Duration
	PushPullInterval        time.Duration
	AwarenessMaxMultiplier  int
}

// Tuned suspects a killed node within about a second and calls it dead within
// two and a half, in a cluster of three on a local network. What is new goes with each
// probe, too, so that a gossip of its own may be rare: it is a wake-up with nothing to
// say as long as nothing happens.
func Tuned() Timing {
	return Timing{ProbeInterval: 500 * time.Millisecond, ProbeTimeout: 200 * time.Millisecond,
		SuspicionMult: 3, SuspicionMaxTimeoutMult: 4, GossipInterval: 250 * time.Millisecond,
		PushPullInterval: 15 * time.Second, AwarenessMaxMultiplier: 4}
}

func (c *Config) validate() error {
	var errs []error
	if c.Self == 0 || c.UUID == "" || c.ClusterID == "" {
		errs = append(errs, errors.New("gossip: node id, UUID and cluster id must be set"))
	}
	if len(c.ClusterID) > memberlist.LabelMaxSize {
		errs = append(errs, errors.New("gossip: the cluster id is too long for a label"))
	}
	if len(c.Keys) == 0 {
		errs = append(errs, errors.New("gossip: there is no key"))
	}
	for i, k := range c.Keys {
		if len(k) != KeyLen {
			errs = append(errs, fmt.Errorf("gossip: key %d has %d bytes, not %d", i+1, len(k), KeyLen))
		}
	}
	return errors.Join(errs...)
}

// EncodeKeys is the text of a key file: one key a line, the first one encrypts.
func EncodeKeys(keys [][]byte) []byte {
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(k))
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// ParseKeys reads a key file. Its errors do not quote the file.
func ParseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		k, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(k) != KeyLen {
			return nil, fmt.Errorf("gossip key %d is not %d bytes in base64", len(keys)+1, KeyLen)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no gossip key")
	}
	return keys, nil
}

// nodeName is a node's name in memberlist: n4.<uuid>.
func nodeName(id cluster.NodeID, uuid string) string { return id.String() + "." + uuid }

func parseName(name string) (id cluster.NodeID, uuid string, ok bool) {
	num, uuid, found := strings.Cut(strings.TrimPrefix(name, "n"), ".")
	n, err := strconv.ParseUint(num, 10, 32)
	if !found || err != nil || n == 0 || uuid == "" || nodeName(cluster.NodeID(n), uuid) != name {
		return 0, "", false
	}
	return cluster.NodeID(n), uuid, true
}

// Fingerprint tells keys apart without telling them.
func Fingerprint(key []byte) string {
	h := sha256.Sum256(append([]byte("nodedb gossip key "), key...))
	return hex.EncodeToString(h[:8])
}

// NewKey makes a gossip key.
func NewKey() []byte {
	k := make([]byte, KeyLen)
	_, _ = rand.Read(k) // never fails
	return k
}
