package builtin

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// ACLItems gives the privileges of an access control list one by one; its second argument says
// the numbers of roles.
const ACLItems = "acl items"

// aclLetters are those of privileges, aclNames what they stand for, in the order in which they
// are written.
const aclLetters = "arwdDxtXUCTcsA"

var aclNames = []string{"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "EXECUTE", "USAGE", "CREATE", "TEMPORARY", "CONNECT", "SET", "ALTER SYSTEM"} //nolint:gochecknoglobals // never changed

// acls are functions of access control lists.
var acls = []Function{
	{Name: ACLItems, Args: []datum.Type{datum.ACLItem | datum.Array, datum.Text}, Result: texts1, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		roles := map[string]string{"": "0"}
		for line := range strings.SplitSeq(a[1].S, "\n") {
			if i := strings.LastIndexByte(line, '='); i >= 0 {
				roles[unquoted(line[:i])] = line[i+1:]
			}
		}
		var out []datum.Datum
		for _, item := range a[0].A.Values {
			if !item.Null {
				out = append(out, ofItem(item.S, roles)...)
			}
		}
		return datum.MakeArray(datum.Text, out), nil
	}},
}

// ofItem takes grantee=arw*/grantor apart: grantor|grantee|privilege|t of each privilege.
func ofItem(item string, roles map[string]string) []datum.Datum {
	grantee, rest := nameBefore(item, '=')
	letters, grantor, _ := strings.Cut(rest, "/")
	var out []datum.Datum
	for i := range letters {
		at := strings.IndexByte(aclLetters, letters[i])
		if at < 0 {
			continue
		}
		grantable := "f"
		if strings.HasPrefix(letters[i+1:], "*") {
			grantable = "t"
		}
		out = append(out, datum.MakeText(roles[unquoted(grantor)]+"|"+roles[grantee]+"|"+aclNames[at]+"|"+grantable))
	}
	return out
}

// nameBefore cuts a text behind a name, which may be quoted.
func nameBefore(s string, end byte) (name, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == end && !quoted:
			return unquoted(s[:i]), s[i+1:]
		}
	}
	return unquoted(s), ""
}

// unquoted is a name without its quotes.
func unquoted(s string) string {
	if len(s) > 1 && s[0] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	return s
}
