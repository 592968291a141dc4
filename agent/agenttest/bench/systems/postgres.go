package systems

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Postgres is one server, with its defaults: fsync is on.
type Postgres struct {
	TLS, Plain *SQL
	dir        string
	process    *process
}

// FindPostgres returns the directory of the server's programs, or a *Missing:
// that of the newest of Debian's packages, or else what is on the PATH.
func FindPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, byVersion)), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", &Missing{"postgres", "it is neither in /usr/lib/postgresql nor on the PATH: apt-get install postgresql"}
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	return filepath.Dir(path), nil
}

// byVersion puts /…/9/bin/postgres before /…/15/bin/postgres.
func byVersion(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// StartPostgres starts a server that takes TLS with client certificates, and
// plaintext, on one port.
func StartPostgres(ctx context.Context, bin string) (_ *Postgres, err error) {
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	p := &Postgres{}
	if p.dir, err = os.MkdirTemp("", "bench-postgres"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.Stop()
		}
	}()
	server, err := p.files(ctx, bin, as)
	if err != nil {
		return nil, err
	}
	addrs, err := ports(1)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	args := []string{"-D", filepath.Join(p.dir, "data"), "-p", port, "-k", ""}
	for _, set := range []string{
		"listen_addresses=127.0.0.1", "max_connections=600", "ssl=on", "ssl_min_protocol_version=TLSv1.3",
		"ssl_ca_file=" + server.CA, "ssl_cert_file=" + server.ServerCert, "ssl_key_file=" + server.ServerKey,
	} {
		args = append(args, "-c", set)
	}
	if p.process, err = begin(as, p.dir, "postgres", filepath.Join(bin, "postgres"), args...); err != nil {
		return nil, err
	}
	url := fmt.Sprintf("postgres://root@127.0.0.1:%s/postgres?sslmode=", port)
	p.Plain = &SQL{Name: "postgres plaintext", URLs: []string{url + "disable"}, PIDs: []int{p.process.pid()}}
	p.TLS = &SQL{Name: "postgres TLS", PIDs: []int{p.process.pid()}, URLs: []string{
		fmt.Sprintf("%sverify-full&sslrootcert=%s&sslcert=%s&sslkey=%s", url, server.CA, server.ClientCert, server.ClientKey),
	}}
	err = retry(ctx, "PostgreSQL", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.TLS.URLs[0])
		if err == nil {
			shut(conn)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.process.tail())
	}
	return p, nil
}

// files makes what the server needs on disk, all of it the server's user's.
func (p *Postgres) files(ctx context.Context, bin string, as *syscall.Credential) (certs, error) {
	c, err := makeCerts(p.dir)
	if err != nil {
		return c, err
	}
	if err := p.give(as); err != nil {
		return c, err
	}
	data := filepath.Join(p.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-A", "trust", "-U", "root", "-E", "UTF8", "--locale", "C", "-D", data) //nolint:gosec // programs of this machine
	initdb.Dir, initdb.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return c, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// With TLS, a certificate of the CA whose name is the user's, and nothing else.
	hba := "hostssl all all 127.0.0.1/32 trust clientcert=verify-full\nhostnossl all all 127.0.0.1/32 trust\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return c, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return c, nil
}

// give hands the directory and its files to the server's user.
func (p *Postgres) give(as *syscall.Credential) error {
	if as == nil {
		return nil
	}
	return filepath.WalkDir(p.dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, int(as.Uid), int(as.Gid)))
	})
}

// Stop ends the server and removes what it wrote.
func (p *Postgres) Stop() {
	if p.process != nil {
		p.process.stop()
	}
	_ = os.RemoveAll(p.dir)
}
