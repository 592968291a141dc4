package offline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Client makes a client whose calls the bundle answers.
func (b *Bundle) Client(name string) *client.Client {
	return client.NewOver(b, client.Context{Name: name})
}

// RoundTrip implements http.RoundTripper: a unary call in the Connect protocol.
func (b *Bundle) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if cerr := r.Body.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
	}
	m := adminpb.File_admin_proto.Services().ByName("Admin").Methods().ByName(protoreflect.Name(path.Base(r.URL.Path)))
	if m == nil || m.IsStreamingServer() || r.Header.Get("Content-Type") != "application/proto" {
		return refuse(r, http.StatusServiceUnavailable, "unavailable", "a bundle answers no "+path.Base(r.URL.Path)), nil
	}
	req, err := newMessage(m.Input())
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(body, req); err != nil {
		return nil, err
	}
	name := string(m.Name())
	out, err := newMessage(m.Output())
	if err != nil {
		return nil, err
	}
	found, err := b.answer(name, req, out)
	switch {
	case err != nil:
		return refuse(r, http.StatusInternalServerError, "internal", fmt.Sprintf("the bundle's answer to %s is damaged: %v", name, err)), nil
	case found == absent:
		return refuse(r, http.StatusServiceUnavailable, "unavailable", fmt.Sprintf("the bundle has no %s: %s", step(name, req), b.why(step(name, req)))), nil
	case found == nothing:
		return refuse(r, http.StatusNotFound, "not_found", "the bundle knows nothing of that name"), nil
	}
	reply, err := proto.Marshal(out)
	if err != nil {
		return nil, err
	}
	return response(r, http.StatusOK, "application/proto", reply), nil
}

func newMessage(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}

func response(r *http.Request, status int, kind string, body []byte) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func refuse(r *http.Request, status int, code, message string) *http.Response {
	body, err := json.Marshal(map[string]string{"code": code, "message": message})
	if err != nil {
		body = []byte(`{"code":"internal"}`)
	}
	return response(r, status, "application/json", body)
}

// finding is what the bundle has for a request.
type finding int

const (
	here    finding = iota
	absent          // it was not collected
	nothing         // there is no such thing
)

// step is the name of the step that collected the answer to a request.
func step(method string, req proto.Message) string {
	s := "calls/" + method
	if key := Key(req); key != "" {
		s += "/" + key
	}
	return s
}

// answer fills out with the answer to req.
func (b *Bundle) answer(method string, req, out proto.Message) (finding, error) {
	content, ok := b.files[step(method, req)+".json"]
	if !ok {
		if r, isOne := req.(*adminpb.GetOperationRequest); isOne {
			return b.operation(r.GetId(), out)
		}
		return absent, nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, out); err != nil {
		return absent, err
	}
	return narrow(req, out), nil
}

// operation looks one up in the list of all.
func (b *Bundle) operation(id string, out proto.Message) (finding, error) {
	var all adminpb.ListOperationsResponse
	found, err := b.answer("ListOperations", &adminpb.ListOperationsRequest{All: true}, &all)
	if err != nil || found != here {
		return found, err
	}
	for _, o := range all.GetOperations() {
		if o.GetId() == id {
			proto.Merge(out, &adminpb.GetOperationResponse{AsOf: all.GetAsOf(), Operation: o})
			return here, nil
		}
	}
	return nothing, nil
}
