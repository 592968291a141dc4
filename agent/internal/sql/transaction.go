package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

func (s *Session) begin(node *syntax.Begin, at time.Time) (string, error) {
	if s.tx != nil {
		s.notice("WARNING", "25001", "there is already a transaction in progress")
		return node.Word, nil
	}
	if err := checkLevel(node.Isolation); err != nil {
		return "", err
	}
	s.tx, s.failed, s.began, s.idle = exec.NewTx(s.server.cfg.DB, s.writer(), s.server.cfg.Memory.Open()), false, at, time.Now()
	s.entered = false
	s.readOnly = node.ReadOnly || s.Setting("default_transaction_read_only") == "on"
	s.settings.begin()
	return node.Word, nil
}

func checkLevel(level string) error {
	if level == "" {
		return nil
	}
	if _, ok := checkIsolation(level); !ok {
		return &Error{Code: "0A000", Message: fmt.Sprintf("transaction isolation level %q is not supported", level),
			Hint: "Transactions run with snapshot isolation: ask for REPEATABLE READ."}
	}
	return nil
}

func (s *Session) setTransaction(node *syntax.SetTransaction) (string, error) {
	if err := checkLevel(node.Isolation); err != nil {
		return "", err
	}
	switch {
	case node.ReadOnly == nil:
	case node.Session:
		value := "off"
		if *node.ReadOnly {
			value = "on"
		}
		if err := s.settings.set("default_transaction_read_only", value, false); err != nil {
			return "", err
		}
	case s.tx == nil:
		s.notice("WARNING", "25P01", "SET TRANSACTION can only be used in transaction blocks")
	default:
		s.readOnly = *node.ReadOnly
	}
	return "SET", nil
}

// commit ends the transaction; a failed one is rolled back, as its tag says.
func (s *Session) commit(ctx context.Context) (string, error) {
	switch {
	case s.tx == nil:
		s.notice("WARNING", "25P01", "there is no transaction in progress")
		return "COMMIT", nil
	case s.failed:
		s.endTransaction(true)
		return "ROLLBACK", nil
	}
	err := s.tx.Commit(ctx)
	s.endTransaction(err != nil)
	if err != nil {
		return "", err
	}
	return "COMMIT", nil
}

func (s *Session) rollback() (string, error) {
	if s.tx == nil {
		s.notice("WARNING", "25P01", "there is no transaction in progress")
		return "ROLLBACK", nil
	}
	s.endTransaction(true)
	return "ROLLBACK", nil
}

func (s *Session) endTransaction(rollback bool) {
	s.tx.Close()
	s.tx, s.failed, s.readOnly = nil, false, false
	s.settings.end(rollback)
	s.followSettings()
}
