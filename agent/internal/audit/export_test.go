package audit

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExportToFile(t *testing.T) {
	target := filepath.Join(t.TempDir(), "copy.jsonl")
	x, err := NewExporter("file:"+target, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Export: func(_ Class, b []byte) { x.Add(b) }})
	if err != nil {
		t.Fatal(err)
	}
	l.each(0, 100)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Run(ctx, func() {}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(target)
	if err != nil || strings.Count(string(b), "\n") != 100 || !strings.Contains(string(b), `"user":"alice"`) {
		t.Errorf("got %d lines, %v", strings.Count(string(b), "\n"), err)
	}
	st, err := os.Stat(target)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", st.Mode(), err)
	}
	// A target that cannot be written holds nobody up.
	x, err = NewExporter("file:"+filepath.Join(target, "under-a-file"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range exportQueue + 10 {
		x.Add([]byte("x\n"))
	}
	if err := x.Run(ctx, func() {}); err != nil || x.Dropped() != exportQueue+10 {
		t.Errorf("got %v, %d dropped", err, x.Dropped())
	}
}

func TestExportToSyslog(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	x, err := NewExporter("syslog:"+server.LocalAddr().String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	x.Add([]byte("{\"sequence\":1}\n"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Run(ctx, func() {}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, _, err := server.ReadFrom(b)
	if got := string(b[:n]); err != nil || !strings.Contains(got, `nodedb-audit`) || !strings.Contains(got, `{"sequence":1}`) {
		t.Errorf("got %q %v", got, err)
	}
}

func TestCheckExport(t *testing.T) {
	for target, ok := range map[string]bool{
		"file:/var/log/x": true, "syslog": true, "syslog:10.0.0.1:514": true,
		"": false, "file:x": false, "syslog:10.0.0.1": false, "http://x": false, "/var/log/x": false,
	} {
		if err := CheckExport(target); (err == nil) != ok {
			t.Errorf("%q: got %v", target, err)
		}
	}
}
