package sqlshell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// Limits of the shell.
const (
	cancelTimeout = 5 * time.Second // until the node has been told to cancel
	includeMost   = 16              // files that include each other
	lineMost      = 64 << 20
)

// shell takes lines and runs the statements and commands in them.
type shell struct {
	e       *ctl.Env
	o       *options
	s       *session
	words   words
	asking  bool // a person types
	pending strings.Builder
	depth   int      // of included files
	file    *os.File // of \o
}

var errQuit = errors.New("quit")

func (sh *shell) connect(ctx context.Context) error {
	conn, err := connect(ctx, sh.e, sh.o)
	if err != nil {
		return err
	}
	sh.s.conn = conn
	return nil
}

func (sh *shell) close(ctx context.Context) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = sh.s.conn.Close(end) // all answers have been read
	if sh.file != nil {
		_ = sh.file.Close() // each write was checked
	}
}

// batch runs what r holds; the first error ends it.
func (sh *shell) batch(ctx context.Context, r io.Reader) error {
	wait, cancel := sh.e.Wait(ctx)
	defer cancel()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineMost)
	for lines.Scan() {
		if err := sh.feed(wait, lines.Text()); err != nil {
			return quitIsFine(timely(ctx, wait, err))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read statements: %w", err)
	}
	return quitIsFine(timely(ctx, wait, sh.flush(wait)))
}

func quitIsFine(err error) error {
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// timely says of an error after the end of the time that this was it.
func timely(ctx, wait context.Context, err error) error {
	switch {
	case err == nil || wait.Err() == nil:
		return err
	case ctx.Err() != nil:
		return ctl.Silent(ctl.Interrupted)
	}
	return &ctl.Error{Code: ctl.Timeout, Message: "--timeout ended; a statement that changes something may have been carried out", Err: err}
}

// feed takes one line.
func (sh *shell) feed(ctx context.Context, line string) error {
	if blank(sh.pending.String()) && strings.HasPrefix(strings.TrimSpace(line), `\`) {
		sh.pending.Reset()
		return sh.command(ctx, strings.TrimSpace(line))
	}
	sh.pending.WriteString(line + "\n")
	statements, rest := split(sh.pending.String())
	sh.pending.Reset()
	sh.pending.WriteString(rest)
	if blank(rest) {
		sh.pending.Reset()
	}
	for _, text := range statements {
		if err := sh.run(ctx, strings.TrimSpace(text)); err != nil {
			return err
		}
	}
	return nil
}

// flush runs what has no semicolon at the end of the input.
func (sh *shell) flush(ctx context.Context) error {
	text := strings.TrimSpace(sh.pending.String())
	sh.pending.Reset()
	if blank(text) {
		return nil
	}
	return sh.run(ctx, text)
}

// run runs a statement. A person's errors are said and forgotten.
func (sh *shell) run(ctx context.Context, text string) error {
	if !sh.asking {
		return sh.s.execute(ctx, text)
	}
	err := sh.interruptible(ctx, func(ctx context.Context) error { return sh.s.execute(ctx, text) })
	if err != nil {
		sh.say(err)
	}
	if sh.s.conn.IsClosed() {
		sh.e.Term.Say("the connection is lost, connecting anew")
		if err := sh.connect(ctx); err != nil {
			return err
		}
	}
	if changesSchema(text) {
		sh.learn(ctx)
	}
	return nil
}

func (sh *shell) say(err error) {
	var e *ctl.Error
	if errors.As(err, &e) {
		sh.e.Term.Tell("%s", e.Message)
		return
	}
	sh.e.Report("nodedbctl sql", err)
}

// interruptible runs do; Ctrl-C has the node cancel it, and a second one gives the
// connection up.
func (sh *shell) interruptible(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt)
	var wg sync.WaitGroup
	wg.Go(func() { cancelOnSignal(ctx, cancel, sh.s.conn, signals) })
	err := do(ctx)
	signal.Stop(signals)
	cancel()
	wg.Wait()
	return err
}

func cancelOnSignal(ctx context.Context, cancel context.CancelFunc, conn *pgconn.PgConn, signals <-chan os.Signal) {
	select {
	case <-ctx.Done():
		return
	case <-signals:
	}
	told, done := context.WithTimeout(ctx, cancelTimeout)
	defer done()
	if err := conn.CancelRequest(told); err != nil {
		cancel()
		return
	}
	select {
	case <-ctx.Done():
	case <-signals:
		cancel()
	}
}

// converse is the shell that a person types into.
func (sh *shell) converse(ctx context.Context) error {
	// Ctrl-C is for the line or the statement here, not for the shell.
	ctx = context.WithoutCancel(ctx)
	ed, err := newEditor(sh.e, &sh.words)
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer ed.close()
	sh.asking = true
	sh.e.Term.Say(`NodeDB. \? for help, \q to quit.`)
	sh.learn(ctx)
	said := ""
	for {
		line, err := ed.line(sh.prompt())
		switch {
		case errors.Is(err, errInterrupted):
			sh.pending.Reset()
			said = ""
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read statement: %w", err)
		}
		said += line + "\n"
		err = sh.feed(ctx, line)
		if sh.pending.Len() == 0 {
			ed.remember(said)
			said = ""
		}
		switch {
		case errors.Is(err, errQuit):
			return nil
		case err != nil && sh.s.conn.IsClosed():
			return err
		case err != nil:
			sh.say(err)
		}
	}
}

// prompt says whether a statement goes on (-), and of a transaction whether it is
// open (*) or has failed (!).
func (sh *shell) prompt() string {
	p := sh.o.database
	if sh.pending.Len() > 0 {
		p += "-"
	} else {
		p += "="
	}
	switch sh.s.conn.TxStatus() {
	case 'T':
		p += "*"
	case 'E':
		p += "!"
	}
	return p + "> "
}

func changesSchema(text string) bool {
	word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(text)), " ")
	return word == "CREATE" || word == "DROP" || word == "ALTER"
}

// learnTimeout bounds how long the names for completion may take.
const learnTimeout = 2 * time.Second

// learn reads the names that completion offers. Within a transaction it must not.
func (sh *shell) learn(ctx context.Context) {
	if sh.s.conn.TxStatus() != 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	rows, err := sh.s.query(ctx, "SELECT DISTINCT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
	if err != nil {
		return // then there is no completion of names
	}
	sh.words.collections, sh.words.columns = nil, nil
	for _, r := range rows {
		sh.words.collections = append(sh.words.collections, r[0])
		sh.words.columns = append(sh.words.columns, r[1])
	}
}

// include runs the statements of a file; - is stdin.
func (sh *shell) include(ctx context.Context, path string) error {
	if path == "-" {
		return sh.batch(ctx, sh.e.Term.In)
	}
	if sh.depth++; sh.depth > includeMost {
		return ctl.Usagef("%s: files include each other too deeply", path)
	}
	defer func() { sh.depth-- }()
	f, err := os.Open(path)
	if err != nil {
		return ctl.Usagef("%v", err)
	}
	defer func() { _ = f.Close() }()
	asking := sh.asking
	sh.asking = false // the first error ends a file
	defer func() { sh.asking = asking }()
	return sh.batch(ctx, f)
}
