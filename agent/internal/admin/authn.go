package admin

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// bearerMost is the longest token that is looked at.
const bearerMost = 256

type callerKey struct{}

// session is one authenticated call.
type session struct {
	principal auth.Principal
	// again authenticates anew: a credential may end while a watch is open.
	again func() error
}

// caller is who makes the call; the interceptor has put it there.
func caller(ctx context.Context) auth.Principal {
	s, _ := ctx.Value(callerKey{}).(*session)
	if s == nil {
		return auth.Principal{}
	}
	return s.principal
}

// stillAllowed returns an error if the caller's credential has ended since.
func stillAllowed(ctx context.Context) error {
	s, _ := ctx.Value(callerKey{}).(*session)
	if s == nil || s.again == nil {
		return nil
	}
	return s.again()
}

// authenticator decides who calls and whether they may.
type authenticator struct {
	backend Backend
	logger  *slog.Logger
	refused *logsample.Sampler // lines that callers cause
	limits  *limiter
}

func (a *authenticator) identify(state *tls.ConnectionState, header string) (auth.Principal, error) {
	token, isBearer := strings.CutPrefix(header, "Bearer ")
	if header != "" && (!isBearer || len(token) > bearerMost) {
		return auth.Principal{}, auth.ErrUnauthenticated
	}
	return auth.Authenticate(a.backend.View(), state, token, time.Now())
}

// required is the least role that may call spec's method.
func required(spec connect.Spec) auth.Role {
	m, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return auth.RoleNone
	}
	r, _ := proto.GetExtension(m.Options(), adminpb.E_RequiredRole).(adminpb.Role)
	return roleOf(r)
}

// intercept runs before a byte of the request's body is decoded.
func (a *authenticator) intercept(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		c := &call{procedure: spec.Procedure, request: requestID("")}
		if info, ok := connecthttp.ServerInfoForContext(ctx); ok {
			c.state = info.TLS()
		}
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			c.header, c.source = info.RequestHeader().Get("Authorization"), hostOf(info.PeerAddr)
			c.request = requestID(info.RequestHeader().Get(requestHeader))
			info.ResponseHeader().Set(requestHeader, c.request)
		}
		if !a.backend.View().Initialized() {
			// Who may call is in the meta range: not a no, but ask again or elsewhere.
			return wireError(a.logger, c.procedure, c.request, &Error{
				Kind: KindUnavailable, Elsewhere: true, Message: "this node is starting: it does not have the meta range yet",
			})
		}
		if err := a.serve(ctx, c, spec, stream, next); err != nil {
			return wireError(a.logger, c.procedure, c.request, err)
		}
		return nil
	}
}

// call is what is known of a call before its body.
type call struct {
	procedure, request string
	header, source     string
	state              *tls.ConnectionState
}

func (a *authenticator) serve(ctx context.Context, c *call, spec connect.Spec, stream connect.ServerStream, next connect.ServerFunc) error {
	need := required(spec)
	who, err := a.admit(ctx, c, need)
	if err != nil {
		return err
	}
	free, err := a.limits.enter(who.Name+"/"+who.TokenID, spec.StreamType == connect.StreamTypeUnary)
	if err != nil {
		return err
	}
	defer free()
	s := &session{principal: who, again: func() error {
		now, err := a.identify(c.state, c.header)
		switch {
		case err != nil || now.Role < need:
			return &Error{Kind: KindUnauthenticated, Message: "the credential has ended"}
		case now.Role != who.Role:
			// What the call shows depends on the role: it must be made anew.
			return &Error{Kind: KindUnavailable, Message: "the rights of " + who.Name + " have changed: call again"}
		}
		return nil
	}}
	ctx = metastate.WithActor(context.WithValue(ctx, callerKey{}, s), metastate.Actor{
		By: who.Name, Via: metastate.ViaAdmin, TokenID: who.TokenID, RequestID: c.request, Source: c.source,
	})
	a.logger.Debug("admin call", slog.String("procedure", c.procedure), slog.String("user", who.Name), slog.String("request", c.request))
	return next(ctx, spec, stream)
}

// admit says who calls, if they may.
func (a *authenticator) admit(ctx context.Context, c *call, need auth.Role) (auth.Principal, error) {
	who, err := a.identify(c.state, c.header)
	if err != nil {
		hangUp(ctx)
		if err := a.limits.failed(c.source); err != nil {
			return who, err
		}
		a.denied(c, "", "not authenticated", err.Error())
		return who, &Error{Kind: KindUnauthenticated, Message: err.Error()}
	}
	Authenticated(ctx)
	if need == auth.RoleNone || who.Role < need {
		why := fmt.Sprintf("%s has the role %s; %s needs %s", who.Name, who.Role, method(c.procedure), need)
		a.denied(c, who.Name, "lacks the role", why)
		return who, &Error{Kind: KindDenied, Message: why}
	}
	return who, nil
}

// denied records a refusal; class is one of a few words for the log.
func (a *authenticator) denied(c *call, user, class, why string) {
	a.refused.Log(slog.LevelInfo, class, "admin call denied", slog.String("procedure", c.procedure), slog.String("user", user),
		slog.String("request", c.request), logattr.Address(c.source), slog.String("why", why))
	a.backend.Denied(audit.Entry{User: user, Via: metastate.ViaAdmin, Source: c.source, Action: method(c.procedure), Decision: metastate.DecisionRefused, Why: why})
}

// requestHeader carries the id of a request, chosen by the caller or by the node.
const requestHeader = "X-Request-Id"

var requestForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// requestID is the caller's id if it is one, else a new one.
func requestID(asked string) string {
	if requestForm.MatchString(asked) {
		return asked
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	return "rq-" + hex.EncodeToString(b[:])
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// method is the last word of a procedure, or of the pattern of a path.
func method(procedure string) string {
	procedure = strings.TrimSuffix(procedure, "/")
	return procedure[strings.LastIndexByte(procedure, '/')+1:]
}

// require guards a plain HTTP handler.
func (a *authenticator) require(need auth.Role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{
			procedure: r.Pattern, request: requestID(r.Header.Get(requestHeader)),
			header: r.Header.Get("Authorization"), source: hostOf(r.RemoteAddr), state: r.TLS,
		}
		w.Header().Set(requestHeader, c.request)
		who, err := a.admit(r.Context(), c, need)
		if err != nil {
			e := asError(err)
			writeJSON(w, httpStatus[wireKinds[e.Kind].code], map[string]string{
				"code": wireKinds[e.Kind].code.String(), "message": e.Message, "requestId": c.request,
			})
			return
		}
		ctx := metastate.WithActor(context.WithValue(r.Context(), callerKey{}, &session{principal: who}), metastate.Actor{
			By: who.Name, Via: metastate.ViaAdmin, TokenID: who.TokenID, RequestID: c.request, Source: c.source,
		})
		next(w, r.WithContext(ctx))
	}
}
