package sqlshell

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

type backslashCommand struct {
	name, args, does string
	run              func(*shell, context.Context, []string) error
}

// backslash are the shell's own commands.
func backslash() []backslashCommand {
	return []backslashCommand{
		{`\d`, "[NAME]", "list collections, or show the columns and indexes of one", (*shell).describe},
		{`\d+`, "[NAME]", "the same, with where the rows live", (*shell).describePlus},
		{`\dt`, "[PATTERN]", "list collections", (*shell).listCollections},
		{`\di`, "[PATTERN]", "list indexes", (*shell).listIndexes},
		{`\du`, "", "list users", (*shell).listUsers},
		{`\l`, "", "list databases", (*shell).listDatabases},
		{`\c`, "[DATABASE [USER [NODE]]]", "connect anew; - keeps what was", (*shell).reconnect},
		{`\conninfo`, "", "say where the connection leads", (*shell).conninfo},
		{`\timing`, "[on|off]", "say how long each statement took", (*shell).setTiming},
		{`\x`, "[on|off]", "show each field on a line of its own", (*shell).setExpanded},
		{`\i`, "FILE", "run the statements of a file", (*shell).includeFile},
		{`\o`, "[FILE]", "write results to a file, or to stdout again", (*shell).output},
		{`\?`, "", "show this", (*shell).help},
		{`\q`, "", "quit", func(*shell, context.Context, []string) error { return errQuit }},
	}
}

// command runs one backslash command.
func (sh *shell) command(ctx context.Context, line string) error {
	words := strings.Fields(strings.TrimRight(line, "; \t"))
	if len(words) == 0 {
		return nil
	}
	for _, c := range backslash() {
		if c.name != words[0] {
			continue
		}
		err := c.run(sh, ctx, words[1:])
		if err != nil && sh.asking && !sh.s.conn.IsClosed() && !errors.Is(err, errQuit) {
			sh.say(err)
			return nil
		}
		return err
	}
	return ctl.Usagef(`there is no command %s: \? lists them`, words[0])
}

func (sh *shell) help(context.Context, []string) error {
	sh.e.Term.Say("statements end with ; and may take several lines. Ctrl-C cancels what is typed or what runs.")
	for _, c := range backslash() {
		sh.e.Term.Say("  %-34s %s", strings.TrimSpace(c.name+" "+c.args), c.does)
	}
	return nil
}

// switchOn is what [on|off] makes of a setting; without it, the other one.
func switchOn(now bool, args []string) (bool, error) {
	if len(args) == 0 {
		return !now, nil
	}
	switch strings.ToLower(args[0]) {
	case "on", "true", "1":
		return true, nil
	case "off", "false", "0":
		return false, nil
	}
	return now, ctl.Usagef("on or off, not %q", args[0])
}

func onOff(v bool) string {
	if v {
		return "on"
	}
	return "off"
}

func (sh *shell) setTiming(_ context.Context, args []string) (err error) {
	if sh.s.timing, err = switchOn(sh.s.timing, args); err == nil {
		sh.e.Term.Say("timing is %s", onOff(sh.s.timing))
	}
	return err
}

func (sh *shell) setExpanded(_ context.Context, args []string) (err error) {
	if sh.s.format.expanded, err = switchOn(sh.s.format.expanded, args); err == nil {
		sh.e.Term.Say("expanded display is %s", onOff(sh.s.format.expanded))
	}
	return err
}

func (sh *shell) includeFile(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return ctl.Usagef(`\i needs a file`)
	}
	return sh.include(ctx, args[0])
}

func (sh *shell) output(_ context.Context, args []string) error {
	if sh.file != nil {
		err := sh.file.Close()
		sh.file, sh.s.out = nil, nil
		if err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	if len(args) == 0 {
		return nil
	}
	f, err := os.OpenFile(args[0], os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return ctl.Usagef("%v", err)
	}
	sh.file, sh.s.out = f, f
	return nil
}

func (sh *shell) reconnect(ctx context.Context, args []string) error {
	o := *sh.o
	for i, to := range []*string{&o.database, &o.user, &o.node} {
		if i < len(args) && args[i] != "-" {
			*to = args[i]
		}
	}
	conn, err := connect(ctx, sh.e, &o)
	if err != nil {
		return err // the old connection stays
	}
	_ = sh.s.conn.Close(ctx) // nothing is under way on it
	sh.s.conn, *sh.o = conn, o
	return sh.conninfo(ctx, nil)
}

func (sh *shell) conninfo(context.Context, []string) error {
	sh.e.Term.Say("connected to %s, database %s", sh.s.conn.Conn().RemoteAddr(), sh.o.database)
	return nil
}

// literal quotes a value for SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// like makes a condition of a pattern with * and ?.
func like(column string, args []string) string {
	if len(args) == 0 {
		return ""
	}
	p := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`, "*", "%", "?", "_").Replace(args[0])
	return " AND " + column + " LIKE " + literal(p)
}

func (sh *shell) listCollections(ctx context.Context, args []string) error {
	return sh.s.execute(ctx, `SELECT table_schema AS "Schema", table_name AS "Name", 'collection' AS "Type"
FROM information_schema.tables WHERE table_schema = 'public'`+like("table_name", args)+` ORDER BY 1, 2`)
}

func (sh *shell) listIndexes(ctx context.Context, args []string) error {
	return sh.s.execute(ctx, `SELECT schemaname AS "Schema", indexname AS "Name", tablename AS "Collection", indexdef AS "Definition"
FROM pg_catalog.pg_indexes WHERE schemaname = 'public'`+like("indexname", args)+` ORDER BY 1, 2`)
}

func (sh *shell) listUsers(ctx context.Context, _ []string) error {
	return sh.s.execute(ctx, `SELECT rolname AS "User", rolsuper AS "Superuser", rolcanlogin AS "Login" FROM pg_catalog.pg_roles WHERE rolname NOT LIKE 'pg\_%' ORDER BY 1`)
}

func (sh *shell) listDatabases(ctx context.Context, _ []string) error {
	return sh.s.execute(ctx, `SELECT datname AS "Name", pg_catalog.pg_encoding_to_char(encoding) AS "Encoding", datcollate AS "Collate" FROM pg_catalog.pg_database ORDER BY 1`)
}

func (sh *shell) describe(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return sh.listCollections(ctx, nil)
	}
	name := strings.Trim(args[0], `"`)
	found, err := sh.s.query(ctx, "SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = "+literal(name))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return &ctl.Error{Code: ctl.NotFound, Message: fmt.Sprintf("there is no collection %q", name), Next: []string{`\dt`}}
	}
	sh.e.Term.Say("collection %s", name)
	err = sh.s.execute(ctx, `SELECT column_name AS "Column", data_type AS "Type", CASE is_nullable WHEN 'NO' THEN 'not null' ELSE '' END AS "Nullable",
column_default AS "Default" FROM information_schema.columns WHERE table_schema = 'public' AND table_name = `+literal(name)+` ORDER BY ordinal_position`)
	if err != nil {
		return err
	}
	indexes, err := sh.s.query(ctx, "SELECT indexname, indexdef FROM pg_catalog.pg_indexes WHERE schemaname = 'public' AND tablename = "+literal(name)+" ORDER BY 1")
	if err != nil {
		return err
	}
	for i, x := range indexes {
		if i == 0 {
			sh.e.Term.Say("indexes:")
		}
		_, using, _ := strings.Cut(x[1], " USING ")
		sh.e.Term.Say("  %s  %s", x[0], using)
	}
	return nil
}

func (sh *shell) describePlus(ctx context.Context, args []string) error {
	if err := sh.describe(ctx, args); err != nil || len(args) == 0 {
		return err
	}
	rows, err := sh.s.query(ctx, "SELECT count(*) FROM "+`"`+strings.ReplaceAll(strings.Trim(args[0], `"`), `"`, `""`)+`"`)
	if err != nil {
		return err
	}
	if len(rows) == 1 {
		sh.e.Term.Say("rows: %s, by hash of the primary key over all data ranges: nodedbctl routing lookup %s KEY", rows[0][0], args[0])
	}
	return nil
}
