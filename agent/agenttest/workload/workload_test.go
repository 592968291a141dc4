package workload

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// TestWhatIsKnownOfAnAnswer: an answer counts as failed only if it says that nothing
// was done.
func TestWhatIsKnownOfAnAnswer(t *testing.T) {
	for _, c := range []struct {
		err  error
		want history.Outcome
	}{
		{nil, history.OK},
		{errNothing, history.Fail},
		{&pgconn.PgError{Code: "40001"}, history.Fail},
		{&pgconn.PgError{Code: "40P01"}, history.Fail},
		{&pgconn.PgError{Code: "55P03"}, history.Fail},
		{&pgconn.PgError{Code: "53100"}, history.Fail},
		{&pgconn.PgError{Code: "40003"}, history.Unknown},
		{&pgconn.PgError{Code: "57014"}, history.Unknown},
		{&pgconn.PgError{Code: "57P01"}, history.Unknown},
		{&pgconn.PgError{Code: "XX000"}, history.Unknown},
		{io.ErrUnexpectedEOF, history.Unknown},
		{context.DeadlineExceeded, history.Unknown},
	} {
		if got, err := outcomeOf(c.err); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

// TestNoClientSeesInternalErrors: an answer with XX000 is a finding, of whatever workload.
func TestNoClientSeesInternalErrors(t *testing.T) {
	all, err := Named("longfork")
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]int{"XX000": 1, "40001": 0, "08006": 0} {
		r := &Run{W: all[0], Record: history.NewRecorder(), cfg: Config{Level: "serializable"}}
		r.Record.Done(r.Record.Call(1, "n1", "read", "serializable"), history.Fail, &pgconn.PgError{Severity: "ERROR", Code: code, Message: "internal error"})
		if _, found := r.Check(); len(found) != want {
			t.Errorf("%s: %v", code, found)
		}
	}
}

func TestWorkloadsHaveNames(t *testing.T) {
	all, err := Named("all")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		if got, err := Named(w.Name() + "," + w.Name()); err != nil || len(got) != 2 || got[0].Name() != w.Name() {
			t.Errorf("%s: %v, %v", w.Name(), got, err)
		}
		if found := w.Check(nil, "serializable"); len(found) > 0 && w.Name() != "ledger" {
			t.Errorf("%s: an empty history: %v", w.Name(), found)
		}
	}
	if _, err := Named("bank,nobody"); err == nil {
		t.Error("a workload that there is not was found")
	}
}
