package admin

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/logattr"
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
		var state *tls.ConnectionState
		if info, ok := connecthttp.ServerInfoForContext(ctx); ok {
			state = info.TLS()
		}
		header := ""
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			header = info.RequestHeader().Get("Authorization")
		}
		if !a.backend.View().Initialized() {
			// Who may call is in the meta range: not a no, but ask again or elsewhere.
			return connect.NewError(connect.CodeUnavailable, "this node is starting: it does not have the meta range yet")
		}
		who, err := a.identify(state, header)
		if err != nil {
			a.logger.Info("admin call refused", slog.String("procedure", spec.Procedure), logattr.Err(err))
			return connect.NewError(connect.CodeUnauthenticated, err.Error())
		}
		need := required(spec)
		if need == auth.RoleNone || who.Role < need {
			a.logger.Info("admin call denied", slog.String("procedure", spec.Procedure), slog.String("user", who.Name))
			return connect.Errorf(connect.CodePermissionDenied, "%s has the role %s; %s needs %s",
				who.Name, who.Role, method(spec.Procedure), need)
		}
		s := &session{principal: who, again: func() error {
			now, err := a.identify(state, header)
			if err != nil || now.Role < need {
				return connect.NewError(connect.CodeUnauthenticated, "the credential has ended")
			}
			return nil
		}}
		if err := next(context.WithValue(ctx, callerKey{}, s), spec, stream); err != nil {
			return wireError(a.logger, spec.Procedure, err)
		}
		return nil
	}
}

func method(procedure string) string { return procedure[strings.LastIndexByte(procedure, '/')+1:] }

// require guards a plain HTTP handler.
func (a *authenticator) require(need auth.Role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := a.identify(r.TLS, r.Header.Get("Authorization"))
		switch {
		case err != nil:
			writeJSON(w, http.StatusUnauthorized, map[string]string{"code": "unauthenticated", "message": err.Error()})
		case who.Role < need:
			writeJSON(w, http.StatusForbidden, map[string]string{
				"code": "permission_denied", "message": who.Name + " has the role " + who.Role.String() + "; " + need.String() + " is needed",
			})
		default:
			next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, &session{principal: who})))
		}
	}
}
