package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// raftLog gives raft's messages to slog. Elections of many ranges at once make
// thousands of lines, so that raft's own are debug; what an operator should know
// is logged by the replica. raft expects Fatal and Panic not to return.
type raftLog struct {
	log *slog.Logger
}

func (l raftLog) line(level slog.Level, msg string) {
	l.log.Log(context.Background(), level, "raft", logattr.Reason(msg))
}

func (l raftLog) debugf(format string, v []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.line(slog.LevelDebug, fmt.Sprintf(format, v...))
	}
}

func (l raftLog) Debug(...any)                {}
func (l raftLog) Debugf(string, ...any)       {}
func (l raftLog) Info(v ...any)               { l.debugf("%s", []any{fmt.Sprint(v...)}) }
func (l raftLog) Infof(f string, v ...any)    { l.debugf(f, v) }
func (l raftLog) Warning(v ...any)            { l.debugf("%s", []any{fmt.Sprint(v...)}) }
func (l raftLog) Warningf(f string, v ...any) { l.debugf(f, v) }
func (l raftLog) Error(v ...any)              { l.line(slog.LevelWarn, fmt.Sprint(v...)) }
func (l raftLog) Errorf(f string, v ...any)   { l.line(slog.LevelWarn, fmt.Sprintf(f, v...)) }
func (l raftLog) Fatal(v ...any)              { panic(errors.New(fmt.Sprint(v...))) }
func (l raftLog) Fatalf(f string, v ...any)   { panic(fmt.Errorf(f, v...)) }
func (l raftLog) Panic(v ...any)              { panic(errors.New(fmt.Sprint(v...))) }
func (l raftLog) Panicf(f string, v ...any)   { panic(fmt.Errorf(f, v...)) }
