package worker

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// lane carries one statement at a time.
type lane struct {
	engine *engine
	conn   *frame.Conn
	cancel chan struct{} // of the statement that runs; closed by Cancel
	run    *run
}

// serve reads the lane's messages until it closes. A message that breaks the
// protocol ends the process: the agent is this program too, so it is a bug or
// memory that cannot be trusted.
func (l *lane) serve() {
	defer l.conn.Close()
	for {
		tag, payload, err := l.conn.Receive()
		if err != nil {
			break
		}
		if err := l.handle(tag, payload); err != nil {
			l.engine.fatal(err.Error())
			break
		}
	}
	l.stop()
}

// stop cancels what runs and waits for it.
func (l *lane) stop() {
	if l.run == nil {
		return
	}
	l.interrupt()
	<-l.run.done
}

func (l *lane) interrupt() {
	select {
	case <-l.cancel:
	default:
		close(l.cancel)
	}
}

func (l *lane) handle(tag frame.Tag, payload []byte) error {
	switch tag {
	case frame.Run:
		return l.begin(payload)
	case frame.ScanRows:
		id, last, batch, err := frame.DecodeScanRows(payload)
		if err != nil {
			return err
		}
		if s := l.scan(id); s != nil {
			return s.deliver(batch, last)
		}
	case frame.ScanFailed:
		id, message, err := frame.DecodeScanFailed(payload)
		if err != nil {
			return err
		}
		if s := l.scan(id); s != nil {
			s.end(fmt.Errorf("%s", message))
		}
	case frame.Cancel:
		if l.run != nil {
			l.interrupt()
		}
	default:
		return fmt.Errorf("unexpected message %d", tag)
	}
	return nil
}

func (l *lane) scan(id uint32) *scan {
	if l.run == nil {
		return nil
	}
	return l.run.scan(id)
}

func (l *lane) begin(payload []byte) error {
	s, err := frame.DecodeStatement(payload)
	if err != nil {
		return err
	}
	if l.run != nil {
		<-l.run.done // it has answered, or this Run would not have been sent
	}
	l.cancel = make(chan struct{})
	l.run = &run{engine: l.engine, lane: l, cancel: l.cancel, statement: s, done: make(chan struct{}), scans: map[uint32]*scan{}}
	go l.run.start()
	return nil
}
