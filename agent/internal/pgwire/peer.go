package pgwire

import (
	"net"
	"syscall"
)

// peerGone looks whether the other end has closed the connection, without
// reading what may be waiting: the statement's own goroutine reads.
func peerGone(raw net.Conn) bool {
	sc, ok := raw.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true // closed on this side
	}
	gone := false
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
		case err != nil:
			gone = true
		default:
			gone = n == 0
		}
	})
	return gone || err != nil
}
