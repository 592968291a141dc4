package systems

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

const members = 3

// Etcd is a cluster of three members.
type Etcd struct {
	dir       string
	certs     certs
	tls       bool
	addrs     []string
	processes []*process
	shared    []*grpc.ClientConn
}

// FindEtcd returns the path of the program, or a *Missing: $BENCH_ETCD, which
// make bench builds, or else what is on the PATH.
func FindEtcd() (string, error) {
	if path := os.Getenv("BENCH_ETCD"); path != "" {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("etcd")
	if err != nil {
		return "", &Missing{"etcd", "it could not be built from its Go module (make bench says why: it needs the network once) and is not on the PATH"}
	}
	return path, nil
}

// StartEtcd starts three members, with TLS on client and peer URLs or without any.
func StartEtcd(ctx context.Context, path string, secure bool) (_ *Etcd, err error) {
	e := &Etcd{tls: secure}
	if e.dir, err = os.MkdirTemp("", "bench-etcd"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			e.Stop()
		}
	}()
	if e.certs, err = makeCerts(e.dir); err != nil {
		return nil, err
	}
	all, err := ports(2 * members)
	if err != nil {
		return nil, err
	}
	e.addrs = all[:members]
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	var initial []string
	for i, addr := range all[members:] {
		initial = append(initial, fmt.Sprintf("e%d=%s%s", i, scheme, addr))
	}
	for i := range members {
		client, peer, name := scheme+e.addrs[i], scheme+all[members+i], fmt.Sprintf("e%d", i)
		args := []string{
			"--name", name, "--data-dir", filepath.Join(e.dir, name), "--log-level", "error",
			"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
			"--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(initial, ","),
		}
		p, err := begin(nil, e.dir, name, path, append(args, e.security()...)...)
		if err != nil {
			return nil, err
		}
		e.processes = append(e.processes, p)
	}
	return e, e.await(ctx)
}

func (e *Etcd) security() []string {
	if !e.tls {
		return nil
	}
	return []string{
		"--client-cert-auth", "--trusted-ca-file", e.certs.CA, "--cert-file", e.certs.ServerCert, "--key-file", e.certs.ServerKey,
		"--peer-client-cert-auth", "--peer-trusted-ca-file", e.certs.CA, "--peer-cert-file", e.certs.ServerCert, "--peer-key-file", e.certs.ServerKey,
		"--tls-min-version", "TLS1.3",
	}
}

// await opens the shared connections and waits until writes work through each.
func (e *Etcd) await(ctx context.Context) error {
	for i := range members {
		conn, err := e.dial(i)
		if err != nil {
			return err
		}
		e.shared = append(e.shared, conn)
		err = retry(ctx, "etcd", func(ctx context.Context) error { return (&etcdSession{conn: conn}).Write(ctx, 0) })
		if err != nil {
			return fmt.Errorf("%w\n%s", err, e.processes[i].tail())
		}
	}
	return nil
}

func (e *Etcd) dial(member int) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	if e.tls {
		conf, err := e.certs.client()
		if err != nil {
			return nil, err
		}
		security = credentials.NewTLS(conf)
	}
	conn, err := grpc.NewClient(e.addrs[member], grpc.WithTransportCredentials(security), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return conn, nil
}

// Fill writes the rows from 0.
func (e *Etcd) Fill(ctx context.Context, rows int) error {
	const clients = 64
	return All(ctx, clients, func(ctx context.Context, client int) error {
		s := &etcdSession{conn: e.shared[client%members]}
		for key := client; key < rows; key += clients {
			if err := s.Write(ctx, int64(key)); err != nil {
				return fmt.Errorf("fill etcd: %w", err)
			}
		}
		return nil
	})
}

// name says how the cluster is measured.
func (e *Etcd) name(own bool) string {
	name := "etcd plaintext"
	if e.tls {
		name = "etcd TLS"
	}
	if own {
		return name + ", own connections"
	}
	return name + ", 3 connections"
}

// EtcdTLS is the name of what NodeDB's targets are put against.
const EtcdTLS = "etcd TLS, 3 connections"

// System is the cluster for clients that share three connections or have their own.
func (e *Etcd) System(own bool) System {
	return System{Name: e.name(own), CPU: CPUOf(e.PIDs()...), Open: func(ctx context.Context, client int) (Session, error) {
		s := &etcdSession{conn: e.shared[client%members]}
		if own {
			var err error
			if s.conn, err = e.dial(client % members); err != nil {
				return nil, err
			}
			s.own = s.conn
		}
		return s, s.Read(ctx, 0) // connects
	}}
}

// PIDs are the ids of the members.
func (e *Etcd) PIDs() []int {
	var ids []int
	for _, p := range e.processes {
		ids = append(ids, p.pid())
	}
	return ids
}

// Stop ends the members and removes what they wrote.
func (e *Etcd) Stop() {
	for _, c := range e.shared {
		_ = c.Close()
	}
	for _, p := range e.processes {
		p.stop()
	}
	_ = os.RemoveAll(e.dir)
}

// etcdSession speaks etcd's two calls without its client library, whose cost
// would be the load generator's.
type etcdSession struct {
	conn *grpc.ClientConn
	own  *grpc.ClientConn // to be closed with the session
}

// etcdTimeout bounds one call: no election takes as long.
const etcdTimeout = 20 * time.Second

func (s *etcdSession) Write(ctx context.Context, key int64) error {
	_, err := s.call(ctx, "Put", strconv.FormatInt(key, 10), Payload)
	return err
}

func (s *etcdSession) Read(ctx context.Context, key int64) error {
	reply, err := s.call(ctx, "Range", strconv.FormatInt(key, 10))
	if err == nil && !bytes.Contains(reply, []byte(Payload)) {
		return fmt.Errorf("etcd has no row %d", key)
	}
	return err
}

func (s *etcdSession) Close() {
	if s.own != nil {
		_ = s.own.Close()
	}
}

// call sends a request whose fields 1, 2, … are these.
func (s *etcdSession) call(ctx context.Context, method string, fields ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	var request, reply []byte
	for i, f := range fields {
		request = protowire.AppendString(protowire.AppendTag(request, protowire.Number(i+1), protowire.BytesType), f)
	}
	if err := s.conn.Invoke(ctx, "/etcdserverpb.KV/"+method, &request, &reply); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	return reply, nil
}

// rawCodec carries messages that were encoded by hand.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("encode %T: only bytes are", v)
	}
	return *b, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("decode into %T: only bytes are", v)
	}
	*b = bytes.Clone(data)
	return nil
}

func (rawCodec) Name() string { return "proto" }
