package rewrite

import (
	"net/netip"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// specialNow answers the time of the transaction.
func specialNow(r *rewriter, _ *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) { return r.nowNode(), nil }, nil
}

// specialTransaction numbers the transaction by when it began, in microseconds since 1970.
func specialTransaction(r *rewriter, _ *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) { return call("epoch_us", r.nowNode()), nil }, nil
}

func constantText(value func(*rewriter) string) special {
	return func(r *rewriter, _ *pg.FuncCall) (finish, error) {
		return func(*pg.Node) (*pg.Node, error) { return sqlText(value(r)), nil }, nil
	}
}

// endOf is an address, or a port, of the connection's; NULL: it is no connection of a network.
func endOf(end func(*Session) netip.AddrPort, port bool) special {
	return func(r *rewriter, _ *pg.FuncCall) (finish, error) {
		at := end(&r.in.Session)
		t := datum.Inet
		if port {
			t = datum.Int4
		}
		switch {
		case !at.IsValid():
			return r.folded(nil, datum.MakeNull(t), nil)
		case port:
			return r.folded(nil, datum.MakeInt(datum.Int4, int64(at.Port())), nil)
		}
		d, err := datum.ParseText(datum.Inet, at.Addr().Unmap().WithZone("").String(), nil)
		if err != nil {
			return nil, err
		}
		return r.folded(nil, d, nil)
	}
}

// serverStart is when the node began to serve, with the settings that it has.
func serverStart(r *rewriter, _ *pg.FuncCall) (finish, error) {
	return r.folded(nil, datum.FromTime(r.in.Session.Started), nil)
}

// answers ignores the arguments of a function that has one answer here.
func answers(answer func() *pg.Node) special {
	return func(*rewriter, *pg.FuncCall) (finish, error) {
		return func(*pg.Node) (*pg.Node, error) { return answer(), nil }, nil
	}
}

// specialPgTypeof is pg_typeof(value): the number of its type.
func specialPgTypeof(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) == 1 {
		if r.isRow(f.Args[0]) {
			return nil, unsupported(f.Location, "pg_typeof of a row")
		}
		t := r.typeOf(f.Args[0])
		if _, isText := literal(f.Args[0]); t != datum.Unknown || isText || f.Args[0].GetAConst().GetIsnull() {
			oid := cast(integer(int64(t.OID())), "BIGINT")
			switch adds, sets := inCalls(f.Args); {
			case sets:
				return nil, unsupported(f.Location, "pg_typeof of a function of several rows")
			case adds: // which says how many rows there are
				return func(n *pg.Node) (*pg.Node, error) {
					return coalesced(oid, cast(call("nd_typeof", n.GetFuncCall().Args...), "BIGINT")), nil
				}, nil
			}
			return func(*pg.Node) (*pg.Node, error) { return oid, nil }, nil
		}
	}
	return func(n *pg.Node) (*pg.Node, error) { return call("nd_typeof", n.GetFuncCall().Args...), nil }, nil
}

func specialCurrentSchema(r *rewriter, _ *pg.FuncCall) (finish, error) {
	return func(*pg.Node) (*pg.Node, error) { return r.schema(), nil }, nil
}

func specialCurrentSchemas(r *rewriter, f *pg.FuncCall) (finish, error) {
	a := &pg.A_ArrayExpr{Location: -1}
	if len(f.Args) == 1 && f.Args[0].GetAConst().GetBoolval().GetBoolval() { // with those that are searched unasked
		if t := r.in.Session.Temporary; t.Name != "" && !slices.Contains(r.in.Session.SearchPath, t.Name) {
			a.Elements = append(a.Elements, text(t.Name))
		}
		a.Elements = append(a.Elements, text("pg_catalog"))
	}
	for _, name := range r.in.Session.SearchPath {
		a.Elements = append(a.Elements, text(name))
	}
	return func(*pg.Node) (*pg.Node, error) {
		return cast(&pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: a}}, "VARCHAR[]"), nil
	}, nil
}
