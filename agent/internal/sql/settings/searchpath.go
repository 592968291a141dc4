package settings

import (
	"regexp"
	"strings"
)

// splitPath reads the value of search_path: identifiers, quoted where they need it.
func splitPath(text string) (path []string, ok bool) {
	if text = strings.TrimSpace(text); text == "" {
		return nil, true
	}
	for {
		name, rest, ok := pathName(text)
		if !ok {
			return nil, false
		}
		if name != "" { // '' and "" stand for no schema
			path = append(path, name)
		}
		if rest == "" {
			return path, true
		}
		if rest[0] != ',' {
			return nil, false
		}
		text = strings.TrimSpace(rest[1:])
	}
}

// pathName reads the first name of a path, and returns the text behind it.
func pathName(text string) (name, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		name, _, _ = strings.Cut(text, ",")
		rest = text[len(name):]
		name = strings.TrimSpace(name)
		return strings.ToLower(name), rest, name != "" && !strings.ContainsAny(name, "\" \t\n")
	}
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '"':
			out.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '"':
			out.WriteByte('"')
			i++
		default:
			return out.String(), strings.TrimSpace(text[i+1:]), true
		}
	}
	return "", "", false
}

// checkPath is the check of search_path.
func checkPath(value string) (string, bool) {
	_, ok := splitPath(value)
	return value, ok
}

// plainName needs no quotes.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`)

// JoinPath writes the names that SET was given.
func JoinPath(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = n; !plainName.MatchString(n) {
			out[i] = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
		}
	}
	return strings.Join(out, ", ")
}

// SearchPath is search_path; "$user" stands in it as that.
func (s *Values) SearchPath() []string {
	text, _ := s.Get("search_path")
	path, _ := splitPath(text)
	return path
}
