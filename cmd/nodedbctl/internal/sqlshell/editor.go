package sqlshell

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/ergochat/readline"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// errInterrupted is Ctrl-C while a line is edited.
var errInterrupted = errors.New("interrupted")

// historyMost is how many statements are remembered.
const historyMost = 2000

// editor reads lines from a person: with editing, history and completion.
type editor struct {
	rl    *readline.Instance
	words *words
}

func newEditor(e *ctl.Env, w *words) (*editor, error) {
	history, err := historyFile(e)
	if err != nil {
		e.Term.Say("no history is kept: %v", err)
	}
	rl, err := readline.NewFromConfig(&readline.Config{
		HistoryFile: history, HistoryLimit: historyMost, DisableAutoSaveHistory: true, HistorySearchFold: true,
		AutoComplete: w, Undo: true, InterruptPrompt: "^C", EOFPrompt: `\q`,
		Stdin: e.Term.In, Stdout: e.Term.Err, Stderr: e.Term.Err, FuncIsTerminal: func() bool { return true },
	})
	if err != nil {
		return nil, err
	}
	return &editor{rl: rl, words: w}, nil
}

// historyFile is where statements are kept, for their author only.
func historyFile(e *ctl.Env) (string, error) {
	path := e.Getenv("NODEDBCTL_SQL_HISTORY")
	if path == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(dir, "nodedb", "sql_history")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the user's own file
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

// line reads one line; io.EOF is Ctrl-D, errInterrupted Ctrl-C.
func (ed *editor) line(prompt string) (string, error) {
	ed.rl.SetPrompt(prompt)
	text, err := ed.rl.ReadLine()
	if errors.Is(err, readline.ErrInterrupt) {
		return "", errInterrupted
	}
	return text, err
}

var passwords = regexp.MustCompile(`(?i)\bpassword\b`)

// remember keeps a statement in the history, unless it may hold a secret.
func (ed *editor) remember(text string) {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", " ")), " ")
	if text != "" && text != `\q` && !passwords.MatchString(text) {
		_ = ed.rl.SaveToHistory(text) // a history that cannot be written is none
	}
}

func (ed *editor) close() { _ = ed.rl.Close() } // the terminal is as it was, or gone

var keywords = strings.Fields(`ALTER AND AS ASC BEGIN BETWEEN BY CASE COLLECTION COLLECTIONS COMMIT COUNT CREATE DEFAULT DELETE
	DESC DISTINCT DROP ELSE END EXISTS EXPLAIN FALSE FROM FULL GRANT GROUP HAVING IF ILIKE IN INDEX INNER INSERT INTO IS JOIN
	KEY LEFT LIKE LIMIT NODES NOT NULL OFFSET ON OR ORDER OUTER PRIMARY RANGES RETURNING REVOKE RIGHT ROLLBACK ROUTING SAVEPOINT
	SELECT SET SHOW TABLE THEN TO TRUE UNION UNIQUE UPDATE USER USING VALUES WHEN WHERE WITH`)

// words completes keywords, backslash commands, collections and their columns.
type words struct {
	collections []string
	columns     []string
}

var _ readline.AutoCompleter = (*words)(nil)

// Do implements readline.AutoCompleter: what may follow, without what is typed.
func (w *words) Do(line []rune, pos int) (tails [][]rune, typed int) {
	head := string(line[:pos])
	at := strings.LastIndexFunc(head, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '\\' && r != '+' && r != '?'
	}) + 1
	word := head[at:]
	for _, c := range w.candidates(strings.TrimSpace(head[:at]), word) {
		tails = append(tails, []rune(c[len(word):]+" "))
	}
	return tails, len([]rune(word))
}

// candidates begin with word, which follows before.
func (w *words) candidates(before, word string) []string {
	var from []string
	switch {
	case before == "" && strings.HasPrefix(word, `\`):
		for _, c := range backslash() {
			from = append(from, c.name)
		}
	case strings.HasPrefix(before, `\d`):
		from = w.collections
	case word == "":
		from = w.collections
	default:
		from = slices.Concat(w.collections, w.columns, keywords)
	}
	var out []string
	for _, c := range from {
		if len(c) < len(word) || !strings.EqualFold(c[:len(word)], word) || slices.Contains(out, c) {
			continue
		}
		// A keyword follows the case that it was begun in.
		if strings.ToUpper(c) == c && word != "" && strings.ToLower(word) == word {
			c = strings.ToLower(c)
		}
		out = append(out, c)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
