package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func cpuTime() time.Duration {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func pair(b *testing.B, h *handler) *Transport {
	n := newNetwork(b)
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, h))
	eventually(b, func() error {
		_, err := a.Call(b.Context(), 2, "m", nil)
		var ue *UnreachableError
		if errors.As(err, &ue) {
			return err
		}
		return nil
	})
	return a
}

// BenchmarkCall reports the CPU of both ends per call, at several numbers of
// concurrent callers.
func BenchmarkCall(b *testing.B) {
	benchCalls(b, &handler{call: func(_ context.Context, _ cluster.NodeID, _ string, p []byte) ([]byte, error) { return p, nil }})
}

// BenchmarkBegunCall is the same for calls that get no goroutine.
func BenchmarkBegunCall(b *testing.B) {
	benchCalls(b, &handler{begin: func(_ string, p []byte, _ time.Duration, reply func([]byte, error)) (func(), bool) {
		reply(p, nil)
		return func() {}, true
	}})
}

func benchCalls(b *testing.B, h *handler) {
	b.Helper()
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			a := pair(b, h)
			payload := make([]byte, 300)
			b.SetParallelism((callers + 1) / 2)
			b.ReportAllocs()
			began := cpuTime()
			b.ResetTimer()
			if callers == 1 {
				for b.Loop() {
					if _, err := a.Call(b.Context(), 2, "kv.read", payload); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
					defer cancel()
					for pb.Next() {
						if _, err := a.Call(ctx, 2, "kv.read", payload); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.StopTimer()
			b.ReportMetric(float64((cpuTime()-began).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

func BenchmarkRaft(b *testing.B) {
	got := make(chan struct{}, 1<<20)
	a := pair(b, &handler{raft: func(cluster.NodeID, []byte) { got <- struct{}{} }})
	batch := make([]byte, 300)
	began := cpuTime()
	b.ResetTimer()
	sent := 0
	for i := 0; i < b.N; {
		if sent-i < 4096 && a.SendRaft(2, batch) {
			sent++
			if sent < b.N {
				continue
			}
		}
		for ; i < sent; i++ {
			<-got
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-began).Microseconds())/float64(b.N), "cpu-us/op")
}

func BenchmarkSnapshot(b *testing.B) {
	a := pair(b, &handler{snapshot: func(_ context.Context, _ []byte, recv func() ([]byte, error)) ([]byte, error) {
		for {
			if _, err := recv(); errors.Is(err, io.EOF) {
				return nil, nil
			} else if err != nil {
				return nil, err
			}
		}
	}})
	const count, size = 256, 256 << 10
	b.SetBytes(count * size)
	for b.Loop() {
		if _, err := a.SendSnapshot(b.Context(), 2, nil, chunks(count, size)); err != nil {
			b.Fatal(err)
		}
	}
}
