package cert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

var roles = map[string]adminpb.Role{
	"": adminpb.Role_ROLE_UNSPECIFIED, "viewer": adminpb.Role_ROLE_VIEWER, "operator": adminpb.Role_ROLE_OPERATOR, "admin": adminpb.Role_ROLE_ADMIN,
}

func newCreateCA(e *ctl.Env) *cobra.Command {
	var cluster, dir string
	c := &cobra.Command{
		Use: "create-ca", Short: "Make a CA, without a cluster: ca.crt and ca.key", Args: cobra.NoArgs,
		Long: "create-ca makes the next CA of a cluster on a machine that is no node. Stage it with\n" +
			"nodedbctl cert rotate-ca stage --ca-certificate DIR/ca.crt; keep ca.key offline.",
		RunE: func(*cobra.Command, []string) error {
			if cluster == "" {
				return ctl.Usagef("--cluster-id is needed: nodedbctl status -o json tells it, and so does nodedbctl whoami")
			}
			a, err := newAuthority(cluster, time.Now())
			if err != nil {
				return err
			}
			if err := writePair(dir, "ca", a.pem(), a.key); err != nil {
				return err
			}
			e.Term.Say("wrote ca.crt and ca.key to %s; whoever has ca.key is the cluster", dir)
			return nil
		},
	}
	c.Flags().StringVar(&cluster, "cluster-id", "", "id of the cluster that the CA is for")
	c.Flags().StringVar(&dir, "dir", ".", "directory to write to")
	return c
}

type nodeOptions struct {
	node  uint32
	hosts []string
	dir   string
	caKey caKeyFlags
	ttl   time.Duration
}

func newCreateNode(e *ctl.Env) *cobra.Command {
	var o nodeOptions
	c := &cobra.Command{
		Use: "create-node", Short: "Make a node's certificate with the CA's key, without a cluster: node.crt and node.key", Args: cobra.NoArgs,
		Long: "create-node is for clusters whose CA key is on no node. Put the two files into DATADIR/certs of the\n" +
			"node, node.key first: it takes them without a restart.",
		RunE: func(*cobra.Command, []string) error {
			if o.node == 0 || o.caKey.file == "" || e.Flags.CA == "" {
				return ctl.Usagef("--node, --ca and --ca-key are needed")
			}
			a, err := readAuthority(e.Flags.CA, &o.caKey)
			if err != nil {
				return err
			}
			key, err := newKey()
			if err != nil {
				return err
			}
			text, err := a.node(o.node, o.hosts, o.ttl, &key.PublicKey)
			if err != nil {
				return err
			}
			if err := writePair(o.dir, "node", text, key); err != nil {
				return err
			}
			e.Term.Say("wrote node.crt and node.key of n%d to %s", o.node, o.dir)
			return nil
		},
	}
	f := c.Flags()
	f.Uint32Var(&o.node, "node", 0, "number of the node, as in n4")
	f.StringSliceVar(&o.hosts, "host", nil, "names and addresses under which clients reach the node")
	f.StringVar(&o.dir, "dir", ".", "directory to write to")
	o.caKey.bind(f, "file of the CA's key (mode 0600); --ca is its certificate")
	f.DurationVar(&o.ttl, "ttl", 365*24*time.Hour, "how long it is good")
	return c
}

type clientOptions struct {
	dir, role string
	caKey     caKeyFlags
	ttl       time.Duration
	change    ctl.Change
}

func newCreateClient(e *ctl.Env) *cobra.Command {
	var o clientOptions
	c := &cobra.Command{
		Use: "create-client USER", Short: "Make a client's certificate: USER.crt and USER.key", Args: cobra.ExactArgs(1),
		Long: "The key is made here and never leaves this machine. The cluster signs, if a node holds the CA's key;\n" +
			"with --ca-key, this machine does, without a cluster. The user must exist (CREATE USER), or be made\n" +
			"with --role.",
		RunE: func(cmd *cobra.Command, args []string) error { return createClient(cmd.Context(), e, args[0], &o) },
	}
	f := c.Flags()
	f.StringVar(&o.dir, "dir", ".", "directory to write to")
	o.caKey.bind(f, "file of the CA's key: sign here, without a cluster; --ca is its certificate")
	f.StringVar(&o.role, "role", "", "make the user with this role of the admin API: viewer|operator|admin")
	f.DurationVar(&o.ttl, "ttl", 30*24*time.Hour, "how long it is good")
	o.change.BindInstant(f)
	return c
}

func createClient(ctx context.Context, e *ctl.Env, user string, o *clientOptions) error {
	role, ok := roles[o.role]
	switch {
	case !ok:
		return ctl.Usagef("--role must be viewer, operator or admin, not %q", o.role)
	case user == "" || filepath.Base(user) != user:
		return ctl.Usagef("%q cannot be a user's name in a file name", user)
	case o.caKey.file != "" && (o.role != "" || e.Flags.CA == ""):
		return ctl.Usagef("with --ca-key, --ca is needed, and --role is the cluster's to give")
	}
	if _, err := os.Stat(filepath.Join(o.dir, user+".crt")); err == nil {
		return ctl.Usagef("%s exists: choose another --dir, or remove it", filepath.Join(o.dir, user+".crt"))
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	var text []byte
	if o.caKey.file != "" {
		a, err := readAuthority(e.Flags.CA, &o.caKey)
		if err != nil {
			return err
		}
		if text, err = a.client(user, o.ttl, &key.PublicKey); err != nil {
			return err
		}
	} else {
		text, err = askCluster(ctx, e, user, role, key, o)
		if err != nil || text == nil {
			return err
		}
	}
	if err := writePair(o.dir, user, text, key); err != nil {
		return err
	}
	e.Term.Say("wrote %s.crt and %s.key to %s", user, user, o.dir)
	return nil
}

func askCluster(ctx context.Context, e *ctl.Env, user string, role adminpb.Role, key *ecdsa.PrivateKey, o *clientOptions) ([]byte, error) {
	plan := ctl.Instant{Command: "cert create-client " + user, Effects: []string{"would sign a certificate of " + user}}
	if yes, err := o.change.Agree(ctx, e, plan); err != nil || !yes {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate request: %w", err)
	}
	c, err := e.Client()
	if err != nil {
		return nil, err
	}
	call, cancel := e.Call(ctx)
	defer cancel()
	r, err := c.IssueCertificate(call, &adminpb.IssueCertificateRequest{
		User: user, Csr: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), Ttl: o.ttl.Seconds(), Role: role,
	})
	if err != nil {
		return nil, err
	}
	e.Term.Say("certificate %s of %s, good until %s", r.GetShown().GetSerial(), user, r.GetShown().GetNotAfter().AsTime().Format(time.RFC3339))
	return r.GetCertificate(), nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return k, nil
}

// writePair writes NAME.crt and NAME.key, which must not exist.
func writePair(dir, name string, certPEM []byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ctl.Usagef("--dir: %v", err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, f := range []struct {
		suffix string
		text   []byte
	}{{".key", keyPEM}, {".crt", certPEM}} {
		path := filepath.Join(dir, name+f.suffix)
		w, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the directory
		if errors.Is(err, fs.ErrExist) {
			return ctl.Usagef("%s exists: choose another --dir, or remove it", path)
		}
		if err != nil {
			return ctl.Usagef("write %s: %v", path, err)
		}
		_, err = w.Write(f.text)
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}
