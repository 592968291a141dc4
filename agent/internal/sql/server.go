package sql

import "context"

// Server makes sessions.
type Server struct{}

// Open starts a session. Errors are *Error: 57P03 while draining, 53300 when there
// are too many, 22023 for a bad setting.
func (s *Server) Open(ctx context.Context, o SessionOptions) (*Session, error) {
	return &Session{server: s}, nil
}
