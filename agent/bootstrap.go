package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"gopkg.in/yaml.v3"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// rootUser is the first user: administrator of the cluster and of SQL.
const rootUser = "root"

// firstTokenLife is how long the token that init makes is valid.
const firstTokenLife = 30 * 24 * time.Hour

// DefaultRanges is how many ranges a cluster begins with. Each range pays for its own
// rounds of raft: with 16 a write costs four fifths of what it costs with 64, and with
// 8 hardly less (docs/BENCHMARKS.md). Fewer lie unevenly on a few nodes. They split
// when they are busy or large.
const DefaultRanges = 16

// InitOptions say what cluster Init makes.
type InitOptions struct {
	Name        string // of the first node; default n1
	ClusterName string // default nodedb
	Ranges      int    // data ranges, 1 to 1,024; see DefaultRanges
	Replicas    int    // 1, 3, 5 or 7
	CredsDir    string // default DataDir/creds
	// DeadAfter is how long a node is dead before its replicas are re-created
	// elsewhere; 0: 5 minutes. Too short: a reboot copies everything.
	DeadAfter time.Duration
}

// InitResult says what Init made.
type InitResult struct {
	ClusterID, CredsDir string
}

// firstNode is the number of the node that init makes.
const firstNode cluster.NodeID = 1

// bootstrapRecord is D/init.json: the cluster that the first start makes. It is
// carried out once; repeating it after a crash changes nothing more.
type bootstrapRecord struct {
	ClusterName string                  `json:"clusterName"`
	Ranges      int                     `json:"ranges"`
	Replicas    int                     `json:"replicas"`
	DeadAfter   string                  `json:"deadAfter,omitempty"`
	Users       []metastate.PutUser     `json:"users"`
	Tokens      []metastate.CreateToken `json:"tokens"`
}

func bootstrapPath(dir string) string { return filepath.Join(dir, "init.json") }

// Init makes a new cluster of one node in cfg.DataDir: identity, certificates,
// keys, the administrator's credentials. Nothing runs yet. A directory that is
// not empty is refused; a failure leaves nothing behind.
func Init(cfg Config, o InitOptions) (res InitResult, err error) {
	if err := cfg.Validate(); err != nil {
		return res, &ExitError{Code: ExitUsage, Message: "configuration", Err: err}
	}
	if o.Ranges < 1 || o.Ranges > cluster.VShards {
		return res, &ExitError{Code: ExitUsage, Message: fmt.Sprintf("--ranges must be from 1 to %d, not %d", cluster.VShards, o.Ranges)}
	}
	if o.Replicas != 1 && o.Replicas != 3 && o.Replicas != 5 && o.Replicas != 7 {
		return res, &ExitError{Code: ExitUsage, Message: fmt.Sprintf("--replicas must be 1, 3, 5 or 7, not %d", o.Replicas)}
	}
	if o.DeadAfter != 0 && o.DeadAfter < time.Second {
		return res, &ExitError{Code: ExitUsage, Message: fmt.Sprintf("--dead-after must be at least 1s, not %s", o.DeadAfter)}
	}
	number, err := checkNodeName("--name", o.Name)
	if err == nil && number > firstNode {
		err = fmt.Errorf("--name %s: the first node is number %d, and %s names number %d only: use %s, or a name that is no number", o.Name, firstNode, o.Name, number, firstNode)
	}
	if err := errors.Join(err, checkName("--cluster-name", o.ClusterName)); err != nil {
		return res, &ExitError{Code: ExitUsage, Message: "configuration", Err: err}
	}
	if o.CredsDir == "" {
		o.CredsDir = filepath.Join(cfg.DataDir, "creds")
	}
	pass := auth.ReadPassphrase(cfg.CAKeyPassphraseFile)
	if err := pass.Err(); err != nil {
		return res, &ExitError{Code: ExitUsage, Message: "--ca-passphrase-file", Err: err}
	}
	undo, err := makeDataDir(cfg.DataDir)
	if err != nil {
		return res, err
	}
	var undoCreds func()
	defer func() {
		if err != nil {
			if undoCreds != nil {
				undoCreds()
			}
			undo()
		}
	}()
	if undoCreds, err = makeDataDir(o.CredsDir); err != nil {
		return res, err
	}
	b := &founding{cfg: cfg, opts: o, caPass: pass, clusterID: uuid.NewString()}
	if err := b.write(); err != nil {
		return res, &ExitError{Code: ExitDataDir, Message: "init", Err: err}
	}
	return InitResult{ClusterID: b.clusterID, CredsDir: o.CredsDir}, nil
}

// makeDataDir makes dir, or takes it if it is empty. undo removes what is in it.
func makeDataDir(dir string) (undo func(), err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, &ExitError{Code: ExitDataDir, Message: "make the directory", Err: err}
		}
		return func() { _ = os.RemoveAll(dir) }, nil
	case err != nil:
		return nil, &ExitError{Code: ExitDataDir, Message: "read the directory", Err: err}
	case len(entries) > 0:
		return nil, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("%s is in use (it is not empty): choose another directory", dir)}
	}
	return func() {
		left, _ := os.ReadDir(dir)
		for _, e := range left {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}, os.Chmod(dir, 0o700)
}

// founding is a cluster in the making.
type founding struct {
	cfg       Config
	opts      InitOptions
	caPass    *auth.Passphrase
	clusterID string
	record    bootstrapRecord
}

func (f *founding) write() error {
	f.record = bootstrapRecord{ClusterName: f.opts.ClusterName, Ranges: f.opts.Ranges, Replicas: f.opts.Replicas}
	if f.opts.DeadAfter != 0 {
		f.record.DeadAfter = f.opts.DeadAfter.String()
	}
	ca, err := auth.NewCA(f.clusterID)
	if err != nil {
		return err
	}
	if err := f.writeCerts(ca); err != nil {
		return err
	}
	if err := f.writeCreds(ca); err != nil {
		return err
	}
	if err := writeFileSync(gossipKeyPath(f.cfg.DataDir), gossip.EncodeKeys([][]byte{gossip.NewKey()})); err != nil {
		return err
	}
	if err := saveConfig(&f.cfg); err != nil {
		return err
	}
	rec, err := json.MarshalIndent(f.record, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFileSync(bootstrapPath(f.cfg.DataDir), rec); err != nil {
		return err
	}
	if err := saveVersions(f.cfg.DataDir, gate.Stored{Active: gate.Binary().Max}); err != nil {
		return err
	}
	return saveIdentity(f.cfg.DataDir, Identity{
		Format: identityFormat, ClusterID: f.clusterID, ClusterName: f.opts.ClusterName, Node: firstNode, Name: f.opts.Name, UUID: uuid.NewString(),
	})
}

func saveConfig(cfg *Config) error {
	text, err := cfg.Encode()
	if err != nil {
		return err
	}
	return writeFileSync(ConfigPath(cfg.DataDir), text)
}

func (f *founding) writeCerts(ca *auth.CA) error {
	dir := certsPath(f.cfg.DataDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	caKey, err := ca.SealedPEM(f.caPass)
	if err != nil {
		return err
	}
	key, err := auth.NewKey()
	if err != nil {
		return err
	}
	keyPEM, err := auth.KeyPEM(key)
	if err != nil {
		return err
	}
	cert, err := ca.IssueNode(f.clusterID, 1, hostsOf(f.cfg.Advertised()), key.Public())
	if err != nil {
		return err
	}
	return writeFiles(dir, map[string][]byte{
		auth.CACertFile: ca.CertPEM(), auth.CAKeyFile: caKey, auth.NodeCertFile: cert, auth.NodeKeyFile: keyPEM,
	})
}

// writeCreds makes the administrator: certificate, token, password, context.
func (f *founding) writeCreds(ca *auth.CA) error {
	key, err := auth.NewKey()
	if err != nil {
		return err
	}
	keyPEM, err := auth.KeyPEM(key)
	if err != nil {
		return err
	}
	cert, err := ca.IssueClient(f.clusterID, rootUser, key.Public())
	if err != nil {
		return err
	}
	password := auth.NewPassword()
	verifier, err := auth.NewSCRAMVerifier(password)
	if err != nil {
		return err
	}
	id, token, hash := auth.NewBearerToken()
	f.record.Users = []metastate.PutUser{{Name: rootUser, Verifier: verifier, AdminRole: auth.RoleAdmin.String()}}
	f.record.Tokens = []metastate.CreateToken{{ID: id, Owner: rootUser, Role: auth.RoleAdmin.String(), Hash: hash[:], ExpiresAt: time.Now().UTC().Add(firstTokenLife).Round(time.Second)}}
	ctx, err := yaml.Marshal(map[string]any{
		"version": 1, "current": f.opts.ClusterName,
		"contexts": []map[string]any{{
			"name": f.opts.ClusterName, "addrs": []string{f.cfg.Advertised().Admin},
			"ca": auth.CACertFile, "cert": rootUser + ".crt", "key": rootUser + ".key", "sqlUser": rootUser, "sqlPasswordFile": rootUser + ".password",
		}},
	})
	if err != nil {
		return err
	}
	return writeFiles(f.opts.CredsDir, map[string][]byte{
		auth.CACertFile: ca.CertPEM(), rootUser + ".crt": cert, rootUser + ".key": keyPEM,
		rootUser + ".password": []byte(password + "\n"), "admin.token": []byte(token + "\n"), "context.yaml": ctx,
	})
}

func writeFiles(dir string, files map[string][]byte) error {
	for name, b := range files {
		if err := writeFileSync(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// hostsOf are the names that a node's certificate is for: loopback is always
// among them, for whoever works on the machine itself.
func hostsOf(a cluster.Addresses) []string {
	seen := map[string]bool{}
	var hosts []string
	for _, addr := range []string{a.SQL, a.RPC, a.Admin, "localhost:0", "127.0.0.1:0"} {
		host, _, err := net.SplitHostPort(addr)
		if err == nil && host != "" && !seen[host] {
			seen[host] = true
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// firstStart makes the cluster that init prepared, if this is the first start of
// its first node. Every step may be repeated.
func (n *Node) firstStart(ctx context.Context, ready func()) error {
	b, err := os.ReadFile(bootstrapPath(n.cfg.DataDir))
	if errors.Is(err, fs.ErrNotExist) {
		ready()
		<-ctx.Done()
		return nil
	}
	var rec bootstrapRecord
	if err == nil {
		err = json.Unmarshal(b, &rec)
	}
	if err != nil {
		return &ExitError{Code: ExitDataDir, Message: "read " + bootstrapPath(n.cfg.DataDir), Err: err}
	}
	if err := n.found(ctx, rec); err != nil {
		return err
	}
	if err := os.Remove(bootstrapPath(n.cfg.DataDir)); err != nil {
		return &ExitError{Code: ExitDataDir, Message: "remove the record of init", Err: err}
	}
	ready()
	<-ctx.Done()
	return nil
}

func (n *Node) found(ctx context.Context, rec bootstrapRecord) error {
	if err := n.awaken(ctx); err != nil { // a start before this one was cut off
		return err
	}
	descs := firstDescriptors(n.id.Node, rec.Ranges)
	if err := n.store.Bootstrap(ctx, descs); err != nil {
		return fmt.Errorf("make the first replicas: %w", err)
	}
	cmd := metastate.Command{By: rootUser, Via: "init", InitCluster: &metastate.InitCluster{
		ClusterID: n.id.ClusterID, Name: rec.ClusterName, CACert: string(n.certs.Current().RootPEM()),
		Settings: rec.settings(), Replicas: rec.Replicas, Active: n.versions.Active(),
		Node: cluster.Node{
			ID: n.id.Node, UUID: n.id.UUID, Name: n.id.Name, Addresses: n.cfg.Advertised(), Locality: n.cfg.Locality, Version: n.cfg.Version, Supports: n.versions.Support(),
		},
		Ranges: descs, Users: rec.Users, Tokens: rec.Tokens,
	}}
	res, err := n.persist(ctx, cmd)
	if err != nil {
		return err
	}
	return res.Err()
}

func (r *bootstrapRecord) settings() metastate.Settings {
	s := metastate.Settings{}
	if r.DeadAfter != "" {
		s[metastate.SettingDeadAfter] = r.DeadAfter
	}
	return s
}

// firstDescriptors divides the vshards evenly over count data ranges, and adds
// the meta range; node is the only voter of all.
func firstDescriptors(node cluster.NodeID, count int) []cluster.RangeDescriptor {
	only := []cluster.ReplicaDescriptor{{Node: node, Replica: 1, Role: cluster.Voter}}
	descs := []cluster.RangeDescriptor{{ID: cluster.MetaRangeID, Generation: 1, NextReplica: 2, Replicas: only}}
	for i := range count {
		descs = append(descs, cluster.RangeDescriptor{
			ID:    cluster.MetaRangeID + 1 + cluster.RangeID(i),
			Start: cluster.VShard(i * cluster.VShards / count).Key(), End: cluster.VShard((i + 1) * cluster.VShards / count).Key(),
			Generation: 1, NextReplica: 2, Replicas: only,
		})
	}
	return descs
}
