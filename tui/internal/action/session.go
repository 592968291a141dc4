package action

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
)

// CancelStatement ends the statement that a session runs.
func CancelStatement(pid uint32) *Action {
	return onSession(pid, false, Action{Title: fmt.Sprintf("cancel the statement of session %d", pid), Command: fmt.Sprintf("nodedbctl sessions cancel %d", pid)})
}

// EndSession ends a session, and rolls its transaction back.
func EndSession(pid uint32) *Action {
	return onSession(pid, true, Action{Title: fmt.Sprintf("end session %d", pid), Command: fmt.Sprintf("nodedbctl sessions cancel %d --terminate", pid)})
}

func onSession(pid uint32, terminate bool, a Action) *Action {
	a.Word = fmt.Sprint(pid)
	a.Look = func(ctx context.Context, c adminpb.AdminClient) (*Verdict, error) {
		r, err := c.ListSessions(ctx, &adminpb.ListSessionsRequest{NodeTimeout: nodeTimeout})
		if err != nil {
			return nil, err
		}
		v := &Verdict{AsOf: r.GetAsOf()}
		i := slices.IndexFunc(r.GetSessions(), func(s *adminpb.Session) bool { return s.GetPid() == pid })
		if i < 0 {
			v.Text = []string{fmt.Sprintf("there is no session %d any more", pid)}
			return v, nil
		}
		s := r.GetSessions()[i]
		v.Allowed = terminate || s.GetState() == "active"
		v.Text = append(v.Text, fmt.Sprintf("%s on %s, application %s, is %s", cell.OneLine(s.GetUser()), cell.Node(s.GetNode()), cell.Or(cell.OneLine(s.GetApplication())), s.GetState()))
		switch {
		case !v.Allowed:
			v.Text = append(v.Text, "it runs no statement: there is nothing to cancel; K ends the session")
		case terminate:
			v.Text = append(v.Text, "its connection is closed (57P01), and its transaction rolled back")
		default:
			v.Text = append(v.Text, "its statement ends (57014); a transaction that it is in has failed then")
		}
		if s.GetStatement() != "" {
			v.Text = append(v.Text, cell.OneLine(s.GetStatement()))
		}
		return v, nil
	}
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		r, err := c.CancelSession(ctx, &adminpb.CancelSessionRequest{Pid: pid, Terminate: terminate, Reason: reason, NodeTimeout: nodeTimeout})
		if err != nil {
			return nil, err
		}
		if !r.GetEnded() {
			return &Outcome{Text: "it had ended by itself"}, nil
		}
		return &Outcome{Text: "done"}, nil
	}
	return &a
}
