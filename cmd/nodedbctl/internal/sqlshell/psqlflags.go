package sqlshell

import (
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// format is how rows are shown beyond what -o says.
type format struct {
	expanded  bool   // one field per line
	tuples    bool   // no heads, no counts
	unaligned bool   // fields beside each other, separated by sep
	sep       string // of unaligned
}

// psqlFlags reads the flags of psql that scripts use, given after --.
func psqlFlags(e *ctl.Env, o *options, args []string) error {
	f := pflag.NewFlagSet("sql --", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	commands := f.StringArrayP("command", "c", nil, "")
	f.StringVarP(&o.file, "file", "f", o.file, "")
	f.StringVarP(&o.database, "dbname", "d", o.database, "")
	f.StringVarP(&o.user, "username", "U", o.user, "")
	f.BoolVarP(&o.format.expanded, "expanded", "x", false, "")
	f.BoolVarP(&o.format.tuples, "tuples-only", "t", false, "")
	f.BoolVarP(&o.format.unaligned, "no-align", "A", false, "")
	f.StringVarP(&o.format.sep, "field-separator", "F", "|", "")
	quiet := f.BoolP("quiet", "q", false, "")
	csv := f.Bool("csv", false, "")
	_ = f.BoolP("no-psqlrc", "X", false, "")   // there is none
	_ = f.StringArrayP("set", "v", nil, "")    // ON_ERROR_STOP is always so here
	_ = f.BoolP("no-password", "w", false, "") // nobody is ever asked for one
	if err := f.Parse(args); err != nil {
		return ctl.Usagef("after --: %v", err)
	}
	if f.NArg() > 0 {
		return ctl.Usagef("after --: unexpected argument %q", strings.Join(f.Args(), " "))
	}
	o.statements = append(o.statements, *commands...)
	if *quiet {
		e.Term.Quiet = true
	}
	if *csv {
		e.Flags.Output.Format = "csv"
	}
	return nil
}
