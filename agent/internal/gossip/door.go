package gossip

import (
	"net"
	"sync"

	"github.com/hashicorp/memberlist"
)

// doorTransport asks before a TCP connection from outside is served: memberlist
// itself serves as many as come.
type doorTransport struct {
	*memberlist.NetTransport

	streams chan net.Conn
	done    chan struct{}
	wg      sync.WaitGroup
}

// listenBehind listens as memberlist would do by itself, behind door.
func listenBehind(door func(net.Conn) net.Conn, mc *memberlist.Config) (*doorTransport, error) {
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{mc.BindAddr}, BindPort: mc.BindPort, Logger: mc.Logger})
	if err != nil {
		return nil, err
	}
	t := &doorTransport{NetTransport: inner, streams: make(chan net.Conn), done: make(chan struct{})}
	t.wg.Go(func() {
		for {
			select {
			case raw := <-inner.StreamCh():
				if c := door(raw); c != nil {
					t.hand(c)
				}
			case <-t.done:
				return
			}
		}
	})
	return t, nil
}

func (t *doorTransport) hand(c net.Conn) {
	select {
	case t.streams <- c:
	case <-t.done:
		_ = c.Close()
	}
}

// StreamCh implements memberlist.Transport.
func (t *doorTransport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport.
func (t *doorTransport) Shutdown() error {
	close(t.done)
	t.wg.Wait()
	return t.NetTransport.Shutdown()
}
