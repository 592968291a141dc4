package datum

import "strings"

// Words of the forms of dates that PostgreSQL reads and this does not.
const dateWords = " jan january feb february mar march apr april may jun june jul july aug august sep sept september oct october nov november" +
	" dec december mon monday tue tues tuesday wed weds wednesday thu thur thurs thursday fri friday sat saturday sun sunday now today tomorrow yesterday "

// otherForm reports whether a text may be a date in one of PostgreSQL's other forms: with
// the name of a month, of digits in another order than year, month and day, a Julian day.
func otherForm(s string) bool {
	s = strings.ToLower(s)
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) {
		if strings.Contains(dateWords, " "+w+" ") || w == "j" {
			return true
		}
	}
	n := leadingDigits(s)
	if n == 0 || n == len(s) || !strings.ContainsRune("/-.", rune(s[n])) {
		return false
	}
	return leadingDigits(s[n+1:]) > 0
}

func otherTime(t Type, s string) *Error {
	return errorf(codeNotSupported, "this form of a %s is not supported: %q; write the date as YYYY-MM-DD", t.SQLName(), clip(s))
}

// abbreviation reports whether a text may be the abbreviation of a time zone that
// PostgreSQL knows.
func abbreviation(s string) bool {
	return len(s) >= 3 && len(s) <= 5 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz") == "" && strings.HasSuffix(strings.ToLower(s), "t")
}
