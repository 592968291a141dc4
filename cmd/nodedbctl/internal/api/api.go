// Package api is the verb api: the raw admin API with the context's credentials.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// prefix begins the path of every call of the protocol.
const prefix = "/nodedb.admin.v1.Admin/"

type options struct {
	data string
	curl bool
}

// New makes the command api.
func New(e *ctl.Env) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "api METHOD PATH [-d @FILE]", Short: "Call the admin API itself, with the context's credentials", Args: cobra.ExactArgs(2),
		Long: "Api sends one HTTP request to the admin port and writes the answer to stdout. A PATH without a slash is the name\n" +
			"of a call: nodedbctl api POST ListNodes. Calls take JSON, {} without -d; those that stream answer a line per message.\n\n" +
			"--curl prints the same request for curl. It names the files of secrets, never the secrets.\n\n" +
			"The calls, which docs/API.md describes:\n\n  " + strings.Join(render.Wrap(strings.Join(names(), " "), helpWidth), "\n  "),
		Example:           "  nodedbctl api POST ListNodes\n  nodedbctl api POST GetOperation -d '{\"id\":\"op-7f3a\"}'\n  nodedbctl api GET /health",
		ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), e, strings.ToUpper(args[0]), args[1], &o)
		},
	}
	c.Flags().StringVarP(&o.data, "data", "d", "", "body of the request: JSON, @FILE, or @- for stdin")
	c.Flags().BoolVar(&o.curl, "curl", false, "print the request for curl and send nothing")
	return c
}

func complete(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return []string{"POST", "GET"}, cobra.ShellCompDirectiveNoFileComp
	case 1:
		if strings.EqualFold(args[0], "GET") {
			return []string{"/health", "/health/ready", "/health/live", "/metrics"}, cobra.ShellCompDirectiveNoFileComp
		}
		return names(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// helpWidth is that of the list of calls in the help.
const helpWidth = 100

// names are those of all calls.
func names() []string {
	var out []string
	for i := range methods().Len() {
		out = append(out, string(methods().Get(i).Name()))
	}
	return out
}

func methods() protoreflect.MethodDescriptors {
	return adminpb.File_admin_proto.Services().ByName("Admin").Methods()
}

// request is what goes over the wire.
type request struct {
	method, path string
	header       http.Header
	body         string
	changes      bool // it may change something
}

func newRequest(method, path, data string) (*request, error) {
	r := &request{method: method, path: path, header: http.Header{}, body: data}
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead:
	default:
		return nil, ctl.Usagef("the admin API knows GET, HEAD and POST, not %q", method)
	}
	if !strings.Contains(path, "/") {
		r.path = prefix + path
	} else if !strings.HasPrefix(path, "/") {
		return nil, ctl.Usagef("%q is no path: write /health, or the name of a call", path)
	}
	if method != http.MethodPost {
		if data != "" {
			return nil, ctl.Usagef("-d is for POST")
		}
		return r, nil
	}
	r.changes = true
	name, isCall := strings.CutPrefix(r.path, prefix)
	if !isCall {
		return r, nil
	}
	m := methods().ByName(protoreflect.Name(name))
	if m == nil {
		return nil, &ctl.Error{Code: ctl.NotFound, Message: fmt.Sprintf("the admin API has no call %q", name), Next: []string{"nodedbctl api --help", "nodedbctl __complete api POST ''"}}
	}
	if r.body == "" {
		r.body = "{}"
	}
	if !json.Valid([]byte(r.body)) {
		return nil, ctl.Usagef("-d is no JSON")
	}
	r.header.Set("Content-Type", "application/json")
	if m.IsStreamingServer() {
		r.header.Set("Accept", "application/x-ndjson")
	}
	r.changes = !sideEffectFree(m)
	return r, nil
}

func sideEffectFree(m protoreflect.MethodDescriptor) bool {
	o, ok := proto.GetExtension(m.Options(), adminpb.E_RequiredRole).(adminpb.Role)
	opts, isOpts := m.Options().(*descriptorpb.MethodOptions)
	return ok && o != adminpb.Role_ROLE_UNSPECIFIED && isOpts && opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

func run(ctx context.Context, e *ctl.Env, method, path string, o *options) error {
	data, err := readData(e, o.data)
	if err != nil {
		return err
	}
	r, err := newRequest(method, path, data)
	if err != nil {
		return err
	}
	if o.curl {
		cx, err := e.Context()
		if err != nil {
			return err
		}
		_, err = io.WriteString(e.Term.Out, curl(&cx, r, o.data)+"\n")
		return err
	}
	if r.changes {
		if err := e.Changing(); err != nil {
			return err
		}
	}
	c, err := e.Client()
	if err != nil {
		return err
	}
	wait, cancel := e.Call(ctx)
	if r.header.Get("Accept") != "" {
		cancel()
		wait, cancel = e.Wait(ctx)
	}
	defer cancel()
	resp, err := c.HTTP(wait, r.method, r.path, r.header, strings.NewReader(r.body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 400 {
		return refusal(e, resp)
	}
	return copyOut(ctx, e, wait, resp.Body)
}

func copyOut(ctx context.Context, e *ctl.Env, wait context.Context, body io.Reader) error {
	last := &lastByte{w: e.Term.Out}
	_, err := io.Copy(last, body)
	switch {
	case err == nil && last.b != '\n' && last.b != 0:
		_, err = io.WriteString(e.Term.Out, "\n")
		return err
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctl.Silent(ctl.Interrupted)
	case errors.Is(wait.Err(), context.DeadlineExceeded):
		return &ctl.Error{Code: ctl.Timeout, Message: "--timeout ended"}
	}
	return client.AsError(err)
}

// lastByte remembers how the output ended.
type lastByte struct {
	w io.Writer
	b byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return l.w.Write(p)
}

// refusal writes the answer of a call that was not done, and gives it the exit
// code that the same refusal has everywhere.
func refusal(e *ctl.Env, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return client.AsError(err)
	}
	if _, err := e.Term.Out.Write(append(bytes.TrimRight(body, "\n"), '\n')); err != nil {
		return err
	}
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Error   *struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &said) // what is no JSON has no code: the status decides
	if said.Error != nil {
		said.Code, said.Message = said.Error.Code, said.Error.Message
	}
	kind, ok := client.WireKind(said.Code)
	if !ok {
		kind = statusKinds[resp.StatusCode]
	}
	message := said.Message
	if message == "" {
		message = resp.Status
	}
	return &ctl.Error{Code: ctl.CodeOf(&client.Error{Kind: kind}), Message: message}
}

var statusKinds = map[int]client.Kind{
	http.StatusBadRequest: client.Invalid, http.StatusMethodNotAllowed: client.Invalid, http.StatusUnsupportedMediaType: client.Invalid,
	http.StatusRequestEntityTooLarge: client.Invalid, http.StatusNotFound: client.NotFound, http.StatusUnauthorized: client.Denied, http.StatusForbidden: client.Denied,
	http.StatusServiceUnavailable: client.Unavailable, http.StatusTooManyRequests: client.Unavailable,
}

// readData is the body that -d gives.
func readData(e *ctl.Env, data string) (string, error) {
	name, isFile := strings.CutPrefix(data, "@")
	if !isFile {
		return data, nil
	}
	var b []byte
	var err error
	if name == "-" {
		b, err = io.ReadAll(e.Term.In)
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return "", ctl.Usagef("-d: %v", err)
	}
	return string(b), nil
}
