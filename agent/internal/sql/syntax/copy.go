package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Copy is COPY: rows of a relation or a query to the client, or from it.
type Copy struct {
	Relation *pg.RangeVar // nil: Query gives the rows
	Columns  []string     // none: all
	Query    *Query
	From     bool
	Where    *pg.Node // of what comes; nil: all of it
	Options  CopyOptions
}

func (*Copy) node() {}

// CopyFormat is how rows are written.
type CopyFormat string

// The formats.
const (
	CopyText   CopyFormat = "text"
	CopyCSV    CopyFormat = "csv"
	CopyBinary CopyFormat = "binary"
)

// CopyOptions are how COPY writes or reads rows.
type CopyOptions struct {
	Format                   CopyFormat
	Delimiter, Quote, Escape byte
	Null                     string
	// Header says that the first line has the names of the columns, Match that they are
	// looked at.
	Header, Match bool
	// ForceQuoteAll and the columns of the others are what FORCE_QUOTE and its like name.
	ForceQuoteAll                       bool
	ForceQuote, ForceNotNull, ForceNull []string
	Freeze                              bool
}

// What COPY says of a file, who may not: nobody reads or writes files of a node.
const copyFileHint = "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone."

func convertCopy(c *pg.CopyStmt, text string) (Node, *Error) {
	out := &Copy{Relation: c.GetRelation(), From: c.GetIsFrom(), Where: c.GetWhereClause()}
	if c.GetFilename() != "" {
		return nil, refuseCopyFile(c)
	}
	for _, a := range c.GetAttlist() {
		out.Columns = append(out.Columns, a.GetString_().GetSval())
	}
	if c.GetQuery() != nil {
		node, err := convert(c.GetQuery(), "TABLE", text)
		if err != nil {
			return nil, err
		}
		q, ok := node.(*Query)
		switch {
		case !ok:
			return nil, Unsupported("COPY (SELECT INTO)", "")
		case q.Select == nil && len(returningOf(q)) == 0:
			return nil, refusedAs("COPY query must have a RETURNING clause")
		}
		out.Query = q
	}
	written := copyWritten{out: &out.Options, from: out.From}
	for _, o := range c.GetOptions() {
		if err := written.option(o.GetDefElem()); err != nil {
			return nil, err
		}
	}
	return out, written.check()
}

func returningOf(q *Query) []*pg.Node {
	switch {
	case q.Insert != nil:
		return q.Insert.GetReturningList()
	case q.Update != nil:
		return q.Update.GetReturningList()
	default:
		return q.Delete.GetReturningList()
	}
}

func refuseCopyFile(c *pg.CopyStmt) *Error {
	what := "COPY to a file of the server"
	switch {
	case c.GetIsProgram():
		what = "COPY to or from an external program"
	case c.GetIsFrom():
		what = "COPY from a file of the server"
	}
	return Unsupported(what, copyFileHint)
}

// copyWritten is what was written of options.
type copyWritten struct {
	out                            *CopyOptions
	from                           bool
	format, header, freeze         bool
	delimiter, null, quote, escape *string
	quoted, notNull, nulls, coded  bool
}

func (w *copyWritten) option(d *pg.DefElem) *Error {
	position := Position(d.GetLocation())
	once := func(seen *bool) *Error {
		if *seen {
			return &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: position}
		}
		*seen = true
		return nil
	}
	text := func(to **string) *Error {
		if *to != nil {
			return &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: position}
		}
		value, err := copyValue(d)
		*to = &value
		return err
	}
	switch d.GetDefname() {
	case "format":
		if err := once(&w.format); err != nil {
			return err
		}
		return w.setFormat(d, position)
	case "freeze":
		if err := once(&w.freeze); err != nil {
			return err
		}
		on, err := copyBoolean(d)
		w.out.Freeze = on
		return err
	case "delimiter":
		return text(&w.delimiter)
	case "null":
		return text(&w.null)
	case "quote":
		return text(&w.quote)
	case "escape":
		return text(&w.escape)
	case "header":
		if err := once(&w.header); err != nil {
			return err
		}
		return w.setHeader(d)
	case "force_quote":
		if err := once(&w.quoted); err != nil {
			return err
		}
		if w.out.ForceQuoteAll = d.GetArg().GetAStar() != nil; w.out.ForceQuoteAll {
			return nil
		}
		return copyColumns(d, &w.out.ForceQuote)
	case "force_not_null":
		if err := once(&w.notNull); err != nil {
			return err
		}
		return copyColumns(d, &w.out.ForceNotNull)
	case "force_null":
		if err := once(&w.nulls); err != nil {
			return err
		}
		return copyColumns(d, &w.out.ForceNull)
	case "encoding":
		if err := once(&w.coded); err != nil {
			return err
		}
		return copyEncoding(d, position)
	default:
		return &Error{Code: codeSyntax, Message: `option "` + d.GetDefname() + `" not recognized`, Position: position}
	}
}

func (w *copyWritten) setFormat(d *pg.DefElem, position int) *Error {
	value, err := copyValue(d)
	switch w.out.Format = CopyFormat(value); {
	case err != nil:
		return err
	case w.out.Format != CopyText && w.out.Format != CopyCSV && w.out.Format != CopyBinary:
		return &Error{Code: "22023", Message: `COPY format "` + value + `" not recognized`, Position: position}
	}
	return nil
}

func (w *copyWritten) setHeader(d *pg.DefElem) *Error {
	if strings.EqualFold(d.GetArg().GetString_().GetSval(), "match") {
		if !w.from {
			return &Error{Code: codeNotSupported, Message: `cannot use "match" with HEADER in COPY TO`}
		}
		w.out.Header, w.out.Match = true, true
		return nil
	}
	var ok bool
	if w.out.Header, ok = optionBoolean(d); !ok {
		return &Error{Code: codeSyntax, Message: `header requires a Boolean value or "match"`}
	}
	return nil
}

func copyColumns(d *pg.DefElem, out *[]string) *Error {
	list := d.GetArg().GetList()
	if list == nil {
		return &Error{Code: "22023", Message: `argument to option "` + d.GetDefname() + `" must be a list of column names`, Position: Position(d.GetLocation())}
	}
	for _, n := range list.GetItems() {
		*out = append(*out, n.GetString_().GetSval())
	}
	return nil
}

// copyEncoding takes UTF8, the only encoding that there is, by its names.
func copyEncoding(d *pg.DefElem, position int) *Error {
	value, err := copyValue(d)
	if err != nil {
		return err
	}
	plain := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(value))
	switch plain {
	case "utf8", "unicode":
		return nil
	case "sqlascii", "latin1", "iso88591", "win1252", "latin9", "win1250", "win1251", "latin2", "sjis", "eucjp", "gbk", "big5", "koi8r", "euckr", "euccn":
		return Unsupported("COPY with ENCODING "+value, "Convert the data to UTF8, the only encoding that there is.")
	}
	return &Error{Code: "22023", Message: `argument to option "encoding" must be a valid encoding name`, Position: position}
}

// copyValue is the text of an option's value.
func copyValue(d *pg.DefElem) (string, *Error) {
	arg := d.GetArg()
	switch {
	case arg == nil:
		return "", &Error{Code: codeSyntax, Message: d.GetDefname() + " requires a parameter", Position: Position(d.GetLocation())}
	case arg.GetString_() != nil:
		return arg.GetString_().GetSval(), nil
	case arg.GetBoolean() != nil:
		if arg.GetBoolean().GetBoolval() {
			return "true", nil
		}
		return "false", nil
	default:
		value, _ := constantText(arg)
		return value, nil
	}
}

// optionBoolean reads an option that is on when nothing is said.
func optionBoolean(d *pg.DefElem) (on, ok bool) {
	arg := d.GetArg()
	switch {
	case arg == nil:
		return true, true
	case arg.GetInteger() != nil:
		i := arg.GetInteger().GetIval()
		return i == 1, i == 0 || i == 1
	case arg.GetBoolean() != nil:
		return arg.GetBoolean().GetBoolval(), true
	}
	switch strings.ToLower(arg.GetString_().GetSval()) {
	case "true", "on":
		return true, true
	case "false", "off":
		return false, true
	}
	return false, false
}

func copyBoolean(d *pg.DefElem) (bool, *Error) {
	on, ok := optionBoolean(d)
	if !ok {
		return false, &Error{Code: codeSyntax, Message: d.GetDefname() + " requires a Boolean value"}
	}
	return on, nil
}

// check refuses options that do not go together, in PostgreSQL's order, and sets those
// that were not written.
func (w *copyWritten) check() *Error {
	o := w.out
	if o.Format == "" {
		o.Format = CopyText
	}
	csv, binary := o.Format == CopyCSV, o.Format == CopyBinary
	delimiter, null := "\t", `\N`
	if csv {
		delimiter, null = ",", ""
	}
	switch {
	case binary && w.delimiter != nil:
		return &Error{Code: codeSyntax, Message: "cannot specify DELIMITER in BINARY mode"}
	case binary && w.null != nil:
		return &Error{Code: codeSyntax, Message: "cannot specify NULL in BINARY mode"}
	}
	if w.delimiter != nil {
		delimiter = *w.delimiter
	}
	if w.null != nil {
		null = *w.null
	}
	switch {
	case len(delimiter) != 1:
		return refusedAs("COPY delimiter must be a single one-byte character")
	case strings.ContainsAny(delimiter, "\r\n"):
		return &Error{Code: "22023", Message: "COPY delimiter cannot be newline or carriage return"}
	case strings.ContainsAny(null, "\r\n"):
		return &Error{Code: "22023", Message: "COPY null representation cannot use newline or carriage return"}
	case !csv && strings.Contains("\\.abcdefghijklmnopqrstuvwxyz0123456789", delimiter):
		return &Error{Code: "22023", Message: `COPY delimiter cannot be "` + delimiter + `"`}
	case binary && o.Header:
		return refusedAs("cannot specify HEADER in BINARY mode")
	}
	o.Delimiter, o.Null = delimiter[0], null
	return w.checkQuotes(csv)
}

// refusedAs is PostgreSQL's own refusal of what it does not have, in its words.
func refusedAs(message string) *Error { return &Error{Code: codeNotSupported, Message: message} }

func (w *copyWritten) checkQuotes(csv bool) *Error {
	o, quote := w.out, `"`
	if w.quote != nil {
		quote = *w.quote
	}
	escape := quote
	if w.escape != nil {
		escape = *w.escape
	}
	switch {
	case !csv && w.quote != nil:
		return refusedAs("COPY quote available only in CSV mode")
	case csv && len(quote) != 1:
		return refusedAs("COPY quote must be a single one-byte character")
	case csv && o.Delimiter == quote[0]:
		return &Error{Code: "22023", Message: "COPY delimiter and quote must be different"}
	case !csv && w.escape != nil:
		return refusedAs("COPY escape available only in CSV mode")
	case csv && len(escape) != 1:
		return refusedAs("COPY escape must be a single one-byte character")
	case !csv && w.quoted:
		return refusedAs("COPY force quote available only in CSV mode")
	case w.quoted && w.from:
		return refusedAs("COPY force quote only available using COPY TO")
	case !csv && w.notNull:
		return refusedAs("COPY force not null available only in CSV mode")
	case w.notNull && !w.from:
		return refusedAs("COPY force not null only available using COPY FROM")
	case !csv && w.nulls:
		return refusedAs("COPY force null available only in CSV mode")
	case w.nulls && !w.from:
		return refusedAs("COPY force null only available using COPY FROM")
	case strings.IndexByte(o.Null, o.Delimiter) >= 0:
		return refusedAs("COPY delimiter must not appear in the NULL specification")
	case csv && strings.IndexByte(o.Null, quote[0]) >= 0:
		return refusedAs("CSV quote character must not appear in the NULL specification")
	}
	o.Quote, o.Escape = quote[0], escape[0]
	return nil
}
