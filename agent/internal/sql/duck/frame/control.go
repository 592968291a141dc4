package frame

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// How a worker is started: as this program with Argument, with Marker in its
// environment and the control socket at ControlFD. The control socket keeps
// message boundaries: the agent sends a Config as JSON, the worker answers ready,
// then each message of the agent brings the socket of a lane.
const (
	Argument  = "sqlworker"
	Marker    = "NODEDB_SQLWORKER"
	ControlFD = 3
)

const maxControl = 16 << 10

// SendControl sends one message, with a file if it is not nil.
func SendControl(c *net.UnixConn, message []byte, file *os.File) error {
	var rights []byte
	if file != nil {
		rights = syscall.UnixRights(int(file.Fd()))
	}
	_, _, err := c.WriteMsgUnix(message, rights, nil)
	return err
}

// ReceiveControl receives one message and the file that came with it, if any.
func ReceiveControl(c *net.UnixConn) ([]byte, *os.File, error) {
	buf, oob := make([]byte, maxControl), make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 && oobn == 0 {
		return nil, nil, io.EOF
	}
	file, err := fileOf(oob[:oobn])
	return buf[:n], file, err
}

func fileOf(oob []byte) (*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("parse rights: %w", err)
	}
	if len(messages) != 1 {
		return nil, errors.New("parse rights: not one message")
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("parse rights: not one file")
	}
	syscall.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "lane"), nil
}
