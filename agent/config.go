package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Config says how a node runs. It comes from D/node.yaml, then flags.
type Config struct {
	// DataDir holds everything of the node; see docs/FORMATS.md.
	DataDir string `yaml:"-"`
	// Listen addresses, host:port each.
	ListenSQL    string `yaml:"listenSql"`
	ListenRPC    string `yaml:"listenRpc"`
	ListenGossip string `yaml:"listenGossip"`
	ListenAdmin  string `yaml:"listenAdmin"`
	// AdvertiseHost is how other machines reach this one; empty: the listen hosts.
	AdvertiseHost string `yaml:"advertiseHost,omitempty"`
	// Locality is shown to operators, "region=eu,zone=a".
	Locality string `yaml:"locality,omitempty"`
	// ElectionTimeout is the shortest time without a leader's word before a
	// follower campaigns, drawn from [t, 2t); default 1s. Too short: needless
	// elections under load. Too long: writes wait that long after a crash.
	ElectionTimeout time.Duration `yaml:"electionTimeout,omitempty"`
	// MaxClockOffset is how far ahead a peer's clock may be; default 500ms. Beyond
	// it its messages are refused.
	MaxClockOffset time.Duration `yaml:"maxClockOffset,omitempty"`
	// DiskStall is how long an operation on the store's disk may take before the disk
	// counts as hung, and the node hands its leaderships away; default 1s: many times
	// what a sync takes on a disk that works, and half of what ranges wait for a
	// leader that died. Too short: leaderships leave a disk that is only busy.
	DiskStall time.Duration `yaml:"diskStall,omitempty"`
	// DiskExit is how long it may take before the process ends with code 73; default
	// 20s: a controller that resets a link, or a volume that fails over, is back by
	// then. Too short: a node is lost that would have come back. Too long: whoever
	// watches processes sees none that is ill.
	DiskExit time.Duration `yaml:"diskExit,omitempty"`
	// DiskReserve is how many bytes of the disk are kept when it is full, so that
	// DELETE, DROP, drains and moves stay possible: ranges most of whose nodes have
	// less left take no rows (53100). Default: a twentieth of the disk, 1 GiB at
	// most. Too small: logs fill it before anybody has made room, and the process ends.
	DiskReserve uint64 `yaml:"diskReserve,omitempty"`
	// CacheBytes is Pebble's block cache; default 64 MiB. Memtables take up to 64 MiB
	// beside it.
	CacheBytes int64 `yaml:"cacheBytes,omitempty"`
	// Memory is what the node may use, its SQL worker included, in bytes; default:
	// the cgroup's limit, else the machine's memory. The Go heap is kept below what
	// the worker and the cache leave of it, and SQL sessions get a quarter. Too
	// high: the kernel ends the node. GOMEMLIMIT in the environment goes first.
	Memory int64 `yaml:"memory,omitempty"`
	// ViewAge is how long a scan may keep its view of a range, and with it what was
	// overwritten or deleted since; default 30s. A client that reads more slowly gets
	// the same rows from a newer view.
	ViewAge time.Duration `yaml:"viewAge,omitempty"`
	// SQLMemory bounds the memory of the SQL worker process, in bytes; default
	// 1 GiB. Queries that need more spill to disk, or fail with 53200.
	SQLMemory int64 `yaml:"sqlMemory,omitempty"`
	// SQLSpill bounds what queries that need more memory put on the disk of the data
	// directory, in bytes and all together; default: a tenth of that disk, 8 GiB at most.
	// Queries that need more fail with 53200.
	SQLSpill int64 `yaml:"sqlSpill,omitempty"`
	// MaxConnections bounds SQL sessions; default 1000.
	MaxConnections int `yaml:"maxConnections,omitempty"`
	// ShortStatements is how many statements that name their rows run at once; default
	// 128 for each core, and no more than one for each 256 KiB of the memory for
	// statements. Too few: rounds of the log carry less than they could. Too many:
	// everybody waits a little, also those who would have been done.
	ShortStatements int `yaml:"shortStatements,omitempty"`
	// LongStatements is that of all others (scans, the SQL worker, many rows); default 8
	// for each core, and no more than one for each 4 MiB. Too few: cores idle while
	// statements wait for other nodes. Too many: they take memory and cores from short
	// ones, and from the loop that votes.
	LongStatements int `yaml:"longStatements,omitempty"`
	// WaitingStatements is how many of each wait beside those; default half of
	// MaxConnections, which is what one user may have. More get 53000.
	WaitingStatements int `yaml:"waitingStatements,omitempty"`
	// DrainDeadline bounds the drain on SIGTERM; default 30s.
	DrainDeadline time.Duration `yaml:"drainDeadline,omitempty"`
	// CertLife is how long the certificates are good that this node signs for
	// nodes, if it holds the CA's key; default 90 days. They are renewed at two
	// thirds of it: a node that is off for the last third must be given one by hand.
	CertLife time.Duration `yaml:"certLife,omitempty"`
	// CAKeyPassphraseFile holds the passphrase that the CA's key is encrypted by on
	// this node's disk, if it is to hold that key; mode 0600. Empty: that of
	// NODEDB_CA_PASSPHRASE in the environment, if it is set. Lost, and the key is.
	CAKeyPassphraseFile string `yaml:"caKeyPassphraseFile,omitempty"`
	// AuditExport is where a copy of each audit record goes: file:/PATH, syslog, or
	// syslog:HOST:PORT over UDP; empty: nowhere, and who can write this node's disk
	// can drop what it alone has.
	AuditExport string `yaml:"auditExport,omitempty"`
	// AskPeers are admin addresses of nodes, of start --peer, that are asked where
	// they and the others are: for a start after every address has changed.
	AskPeers []string `yaml:"-"`
	// LogLevel is debug, info, warn or error; LogFormat text or json.
	LogLevel  string `yaml:"logLevel,omitempty"`
	LogFormat string `yaml:"logFormat,omitempty"`
	// Version is the version of the binary.
	Version string `yaml:"-"`
}

// Environment that tests and developers use: addresses of the default ports.
const (
	defaultSQL    = "127.0.0.1:6432"
	defaultRPC    = "127.0.0.1:6433"
	defaultGossip = "127.0.0.1:6434"
	defaultAdmin  = "127.0.0.1:6480"
)

// DefaultConfig returns the configuration of a node in dataDir with every
// default set.
func DefaultConfig(dataDir string) Config {
	return Config{
		DataDir:   dataDir,
		ListenSQL: defaultSQL, ListenRPC: defaultRPC, ListenGossip: defaultGossip, ListenAdmin: defaultAdmin,
		ElectionTimeout: time.Second, MaxClockOffset: 500 * time.Millisecond,
		DiskStall: time.Second, DiskExit: 20 * time.Second,
		CacheBytes: 64 << 20, ViewAge: 30 * time.Second, SQLMemory: 1 << 30, MaxConnections: 1000,
		DrainDeadline: 30 * time.Second, CertLife: 90 * 24 * time.Hour, LogLevel: "info", LogFormat: "text", Version: "unknown",
	}
}

// ConfigPath is where a data directory's configuration is.
func ConfigPath(dataDir string) string { return filepath.Join(dataDir, "node.yaml") }

// LoadConfig reads path over the defaults. A key that is not known is an error.
func LoadConfig(dataDir, path string) (Config, error) {
	c := DefaultConfig(dataDir)
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return c, err // it names the file
	}
	if err := c.decode(text); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// decode reads text over what c has.
func (c *Config) decode(text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	err := dec.Decode(c)
	if errors.Is(err, io.EOF) {
		return errors.New("is empty: nodedb-agent init and join write it; config print on another node shows what is in it")
	}
	if err != nil {
		text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  ")
		return errors.New(goType.ReplaceAllString(strings.ReplaceAll(text, "\n  ", "; "), "there is no setting $1"))
	}
	return nil
}

// goType is how the YAML library names the type that lacks a field.
var goType = regexp.MustCompile(`field (\S+) not found in type \S+`)

// Encode returns c as node.yaml holds it.
func (c *Config) Encode() ([]byte, error) { return yaml.Marshal(c) }

// Validate reports everything that is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.DataDir != "", "no data directory: give --data-dir")
	for _, l := range []struct{ flag, addr string }{
		{"--listen-sql", c.ListenSQL}, {"--listen-rpc", c.ListenRPC}, {"--listen-gossip", c.ListenGossip}, {"--listen-admin", c.ListenAdmin},
	} {
		host, port, err := net.SplitHostPort(l.addr)
		n, portErr := strconv.ParseUint(port, 10, 16)
		need(err == nil && portErr == nil && n > 0, "%s %q is not host:port", l.flag, l.addr)
		need(err != nil || c.AdvertiseHost != "" || !wildcard(host), "%s %q listens on every address: say with --advertise-host under which one others reach this machine", l.flag, l.addr)
		need(err != nil || c.AdvertiseHost != "" || wildcard(host) || auth.CheckHost(host) == nil, "%s %q has no host name or address that others can reach: say with --advertise-host which one has", l.flag, l.addr)
	}
	if c.AdvertiseHost != "" {
		err := auth.CheckHost(c.AdvertiseHost)
		need(err == nil && !wildcard(c.AdvertiseHost), "--advertise-host %q is no host name or address that others can reach", c.AdvertiseHost)
	}
	errs = append(errs, checkLocality(c.Locality), checkPeers(c.AskPeers))
	need(c.ElectionTimeout >= 200*time.Millisecond && c.ElectionTimeout <= 10*time.Second, "electionTimeout %s is not between 200ms and 10s", c.ElectionTimeout)
	need(c.MaxClockOffset > 0, "maxClockOffset must be positive")
	need(c.DiskStall >= 500*time.Millisecond && c.DiskStall <= time.Minute, "diskStall %s is not between 500ms and 1m", c.DiskStall)
	need(c.DiskExit >= 2*c.DiskStall, "diskExit %s is shorter than twice diskStall (%s): leaderships are to leave first", c.DiskExit, c.DiskStall)
	need(c.CacheBytes >= 1<<20, "cacheBytes must be at least 1 MiB")
	need(c.Memory == 0 || c.Memory >= 256<<20, "memory must be at least 256 MiB, or 0 for the limit of the cgroup or machine")
	need(c.ViewAge >= 100*time.Millisecond, "viewAge must be at least 100ms")
	need(c.SQLMemory >= 64<<20, "sqlMemory must be at least 64 MiB")
	need(c.SQLSpill == 0 || c.SQLSpill >= 64<<20, "sqlSpill must be at least 64 MiB, or 0 for its default")
	need(c.MaxConnections > 0, "maxConnections must be positive")
	need(c.ShortStatements >= 0 && c.LongStatements >= 0 && c.WaitingStatements >= 0, "shortStatements, longStatements and waitingStatements must be positive, or 0 for their defaults")
	need(c.DrainDeadline > 0, "drainDeadline must be positive")
	need(c.CertLife >= time.Minute, "certLife must be at least 1m")
	if c.AuditExport != "" {
		if err := audit.CheckExport(c.AuditExport); err != nil {
			errs = append(errs, fmt.Errorf("auditExport: %w", err))
		}
	}
	need(c.LogLevel == "debug" || c.LogLevel == "info" || c.LogLevel == "warn" || c.LogLevel == "error", "logLevel %q is not debug, info, warn or error", c.LogLevel)
	need(c.LogFormat == "text" || c.LogFormat == "json", "logFormat %q is not text or json", c.LogFormat)
	return errors.Join(errs...)
}

// wildcard reports whether a listen host stands for every address.
func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
)

// checkName refuses names of nodes and clusters that would not stand in a
// command line, a URL and a table alike.
func checkName(what, name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%s %q must be of letters, digits, dots, dashes and underscores, 63 at most", what, name)
	}
	return nil
}

// checkNodeName is checkName, and refuses what reads as the number of a node but
// could not be its name. number is what the name asks for, 0 if nothing.
func checkNodeName(what, name string) (number cluster.NodeID, err error) {
	if err := checkName(what, name); err != nil {
		return 0, err
	}
	if number, err = cluster.NumberOfName(name); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return number, nil
}

func checkLocality(l string) error {
	_, err := cluster.ParseLocality(l)
	return err
}

// checkAddresses refuses addresses that others cannot reach or that would stand
// for another node in a certificate.
func checkAddresses(a cluster.Addresses) error {
	var errs []error
	for _, addr := range []string{a.SQL, a.RPC, a.Gossip, a.Admin} {
		host, port, err := net.SplitHostPort(addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err == nil {
			err = auth.CheckHost(host)
		}
		if err != nil || wildcard(host) {
			errs = append(errs, fmt.Errorf("%q is no address under which others reach a node", addr))
		}
	}
	return errors.Join(errs...)
}

// Advertised returns the addresses that others reach this node at.
func (c *Config) Advertised() cluster.Addresses {
	at := func(addr string) string {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return addr
		}
		if c.AdvertiseHost != "" {
			host = c.AdvertiseHost
		}
		return net.JoinHostPort(host, port)
	}
	return cluster.Addresses{SQL: at(c.ListenSQL), RPC: at(c.ListenRPC), Gossip: at(c.ListenGossip), Admin: at(c.ListenAdmin)}
}

// spillBytes is SQLSpill, or its default.
func (c *Config) spillBytes() int64 {
	const most, share = 8 << 30, 10 // a tenth of the disk
	if c.SQLSpill > 0 {
		return c.SQLSpill
	}
	_, total := storage.Space(c.DataDir)
	if total == 0 {
		return most
	}
	return int64(max(min(total/share, most), 64<<20)) //nolint:gosec // at most 8 GiB
}
