package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// HTTP sends a request to a path of the admin port, with the context's
// credentials, to whichever node answers. The caller closes the response's body.
// Errors are *Error; an answer of any status is none.
func (c *Client) HTTP(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://"+c.context.Addrs[0]+path, body)
	if err != nil {
		return nil, &Error{Kind: Invalid, Message: fmt.Sprintf("%s %s is no request: %v", method, path, err), Err: err}
	}
	for k, vs := range header {
		r.Header[k] = vs
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, AsError(err)
	}
	return resp, nil
}

// WireKind is the Kind of the code that an answer in JSON carries, such as
// "not_found".
func WireKind(code string) (Kind, bool) {
	k, ok := wireKinds[code]
	return k, ok
}

// wireKinds has the codes as JSON spells them.
var wireKinds = map[string]Kind{
	"invalid_argument": Invalid, "out_of_range": Invalid, "unimplemented": Invalid, "not_found": NotFound,
	"unauthenticated": Denied, "permission_denied": Denied, "failed_precondition": Unsafe, "aborted": Conflict, "already_exists": Conflict,
	"unavailable": Unavailable, "resource_exhausted": Unavailable, "deadline_exceeded": Timeout, "canceled": Unavailable,
	"internal": Internal, "unknown": Internal,
}
