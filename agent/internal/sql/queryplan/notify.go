package queryplan

import "github.com/nodedb/nodedb/agent/internal/sql/datum"

// notifyFunction is pg_notify.
const notifyFunction = "pg_notify"

// notifyCall compiles a call of pg_notify.
func notifyCall(args []Expr) (Expr, error) {
	if len(args) != 2 {
		return nil, errSlow // which says that there is no such function
	}
	for i := range args {
		if t := args[i].Type(); t != datum.Unknown && !t.IsString() {
			return nil, errSlow
		}
		var err error
		if args[i], err = convert(args[i], datum.Text, -1, datum.Assignment); err != nil {
			return nil, err
		}
	}
	return &fn{typ: datum.Text, args: args, volatile: true, eval: func(env *Env, v []datum.Datum) (datum.Datum, error) {
		var channel, payload string
		if !v[0].Null {
			channel = v[0].S
		}
		if !v[1].Null {
			payload = v[1].S
		}
		return datum.MakeText(""), env.Session.Notify(channel, payload)
	}}, nil
}
