package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// HostMethod is how who comes by a rule has to prove who they are.
type HostMethod string

// The methods, by PostgreSQL's names; MethodEither is CockroachDB's.
const (
	// MethodEither takes the certificate that a client shows, else its password.
	MethodEither   HostMethod = "cert-scram-sha-256"
	MethodPassword HostMethod = "scram-sha-256"
	MethodCert     HostMethod = "cert"
	MethodReject   HostMethod = "reject"
	// MethodTrust asks for nothing: for this machine only.
	MethodTrust HostMethod = "trust"
)

// HostRule says how some users may log in to some databases from some addresses: a line of
// PostgreSQL's pg_hba.conf.
type HostRule struct {
	Line      int // in the text, from 1; 0: it is the default
	Type      string
	Databases []HostName
	Users     []HostName
	Network   netip.Prefix // not valid: every address
	Method    HostMethod
	// BothCert wants a client certificate beside the password (clientcert=verify-full).
	BothCert bool
}

// HostName is a name of a rule, or one of its words: all, sameuser, samerole, +role.
type HostName struct {
	Name   string
	Quoted bool // it is a name, whatever it reads
}

// HostRules are looked at in their order: the first that fits decides.
type HostRules []HostRule

// defaultHostRules hold while no others are set.
func defaultHostRules() HostRules {
	all := []HostName{{Name: "all"}}
	return HostRules{{Type: "host", Databases: all, Users: all, Method: MethodEither}}
}

// maxHostRules bounds what each login goes through.
const maxHostRules = 500

// ParseHostRules reads rules as pg_hba.conf has them, a line each:
//
//	host|hostssl DATABASE USER ADDRESS METHOD [clientcert=verify-full]
//
// Text without rules is the default: every user from everywhere, by certificate or password.
func ParseHostRules(text string) (HostRules, error) {
	var out HostRules
	for i, line := range strings.Split(text, "\n") {
		fields, err := hostFields(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(fields) == 0 {
			continue
		}
		r, err := hostRule(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		r.Line = i + 1
		out = append(out, r)
	}
	switch {
	case len(out) > maxHostRules:
		return nil, fmt.Errorf("there are %d rules: %d at most", len(out), maxHostRules)
	case len(out) == 0:
		return defaultHostRules(), nil
	}
	return out, nil
}

// hostFields cuts a line into fields, and each into the names that commas part.
func hostFields(line string) ([][]HostName, error) {
	var fields [][]HostName
	more := false // a comma came: what follows belongs to the same field
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == '#':
			i = len(line)
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == ',':
			if len(fields) == 0 || more {
				return nil, fmt.Errorf("a name is missing before the comma")
			}
			more = true
			i++
		default:
			name, next, err := hostName(line, i)
			if err != nil {
				return nil, err
			}
			if more {
				fields[len(fields)-1] = append(fields[len(fields)-1], name)
			} else {
				fields = append(fields, []HostName{name})
			}
			more, i = false, next
		}
	}
	if more {
		return nil, fmt.Errorf("a name is missing after the comma")
	}
	return fields, nil
}

// hostName reads one name from at on.
func hostName(line string, at int) (HostName, int, error) {
	var b strings.Builder
	quoted, i := false, at
	for i < len(line) && !strings.ContainsRune(" \t\r,#", rune(line[i])) {
		if line[i] != '"' {
			b.WriteByte(line[i])
			i++
			continue
		}
		end := strings.IndexByte(line[i+1:], '"')
		if end < 0 {
			return HostName{}, 0, fmt.Errorf("a quoted name does not end")
		}
		b.WriteString(line[i+1 : i+1+end])
		quoted = true
		i += end + 2
	}
	return HostName{Name: b.String(), Quoted: quoted}, i, nil
}

func hostRule(fields [][]HostName) (HostRule, error) {
	r := HostRule{Type: fields[0][0].Name}
	if len(fields[0]) > 1 {
		return r, fmt.Errorf("a rule has one type")
	}
	switch r.Type {
	case "host", "hostssl":
	case "hostnossl", "hostnogssenc", "hostgssenc", "local":
		return r, fmt.Errorf("connections of type %q are not served: write host or hostssl", r.Type)
	default:
		return r, fmt.Errorf("invalid connection type %q: write host or hostssl", r.Type)
	}
	if len(fields) < 5 {
		return r, fmt.Errorf("a rule has a type, databases, users, an address and a method")
	}
	r.Databases, r.Users = fields[1], fields[2]
	for _, n := range slices.Concat(r.Databases, r.Users) {
		if !n.Quoted && (n.Name == "replication" || strings.HasPrefix(n.Name, "/") || strings.HasPrefix(n.Name, "@")) {
			return r, fmt.Errorf("%q is not supported: write names, all, sameuser, samerole or +role; a name that reads so in quotes", n.Name)
		}
	}
	rest, err := r.readAddress(fields[3:])
	if err != nil {
		return r, err
	}
	return r, r.readMethod(rest)
}

// readAddress reads all, an address with a prefix, or an address and a mask.
func (r *HostRule) readAddress(fields [][]HostName) (rest [][]HostName, err error) {
	if len(fields[0]) != 1 {
		return nil, fmt.Errorf("a rule has one address")
	}
	word := fields[0][0].Name
	if word == "all" {
		return fields[1:], nil
	}
	if strings.Contains(word, "/") {
		r.Network, err = netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("invalid address %q: write all, or such as 10.0.0.0/8", word)
		}
		r.Network = r.Network.Masked()
		return fields[1:], nil
	}
	at, err := netip.ParseAddr(word)
	if err != nil {
		return nil, fmt.Errorf("invalid address %q: write all, or such as 10.0.0.0/8; host names are not looked up", word)
	}
	if len(fields) < 2 {
		return nil, fmt.Errorf("after address %q its mask is missing: write %s/32 for one address", word, word)
	}
	mask, err := netip.ParseAddr(fields[1][0].Name)
	if err != nil || mask.BitLen() != at.BitLen() {
		return nil, fmt.Errorf("invalid mask %q of address %q", fields[1][0].Name, word)
	}
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
		if b != 0 {
			return nil, fmt.Errorf("invalid mask %q of address %q", fields[1][0].Name, word)
		}
	}
	r.Network = netip.PrefixFrom(at, bits).Masked()
	if back := netip.PrefixFrom(mask, bits).Masked().Addr(); back != mask {
		return nil, fmt.Errorf("invalid mask %q of address %q", fields[1][0].Name, word)
	}
	return fields[2:], nil
}

// readMethod reads the method and its options.
func (r *HostRule) readMethod(fields [][]HostName) error {
	if len(fields) == 0 || len(fields[0]) != 1 {
		return fmt.Errorf("a rule has one method")
	}
	switch r.Method = HostMethod(fields[0][0].Name); r.Method {
	case MethodEither, MethodPassword, MethodCert, MethodReject:
	case MethodTrust:
		if !r.Network.IsValid() || !r.Network.Addr().IsLoopback() || r.Network.Addr().Is4() && r.Network.Bits() < 8 || r.Network.Addr().Is6() && r.Network.Bits() < 128 {
			return fmt.Errorf("trust lets in whoever says to be somebody: it is for this machine alone (127.0.0.0/8 or ::1/128)")
		}
	case "md5", "password", "peer", "ident", "gss", "sspi", "ldap", "radius", "pam", "bsd":
		return fmt.Errorf("method %q is not supported: write scram-sha-256, cert, cert-scram-sha-256, reject or trust", r.Method)
	default:
		return fmt.Errorf("invalid method %q: write scram-sha-256, cert, cert-scram-sha-256, reject or trust", r.Method)
	}
	for _, option := range fields[1:] {
		if r.Method != MethodPassword || len(option) != 1 || option[0].Name != "clientcert=verify-full" {
			return fmt.Errorf("invalid option %q of method %s: scram-sha-256 takes clientcert=verify-full, the others take none", option[0].Name, r.Method)
		}
		r.BothCert = true
	}
	return nil
}

// Knock is a client that wants to log in.
type Knock struct {
	User, Database string
	Address        netip.Addr
	// Member reports whether the user is the role, or a member of it.
	Member func(role string) bool
}

// Find is the rule that decides about a client; nil: there is none.
func (rules HostRules) Find(k Knock) *HostRule {
	for i := range rules {
		if rules[i].fits(k) {
			return &rules[i]
		}
	}
	return nil
}

func (r *HostRule) fits(k Knock) bool {
	if r.Network.IsValid() && !r.Network.Contains(k.Address.Unmap().WithZone("")) {
		return false
	}
	database := func(n HostName) bool {
		switch {
		case n.Quoted || n.Name != "all" && n.Name != "sameuser" && n.Name != "samerole":
			return n.Name == k.Database
		case n.Name == "sameuser":
			return k.User == k.Database
		case n.Name == "samerole":
			return k.Member(k.Database)
		}
		return true
	}
	user := func(n HostName) bool {
		if role, ok := strings.CutPrefix(n.Name, "+"); ok && !n.Quoted {
			return k.Member(role)
		}
		return !n.Quoted && n.Name == "all" || n.Name == k.User
	}
	return slices.ContainsFunc(r.Databases, database) && slices.ContainsFunc(r.Users, user)
}

// hostNames writes names as rules have them.
func hostNames(list []HostName) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.Name
		if n.Quoted {
			out[i] = `"` + n.Name + `"`
		}
	}
	return strings.Join(out, ",")
}

// Address writes where the rule's clients come from.
func (r *HostRule) Address() string {
	if !r.Network.IsValid() {
		return "all"
	}
	return r.Network.String()
}

// Options writes the options of the method.
func (r *HostRule) Options() string {
	if r.BothCert {
		return "clientcert=verify-full"
	}
	return ""
}

// String is the rule as a line of the text.
func (r *HostRule) String() string {
	return strings.TrimSpace(strings.Join([]string{r.Type, hostNames(r.Databases), hostNames(r.Users), r.Address(), string(r.Method), r.Options()}, " "))
}

// DatabaseNames writes the databases that the rule is about.
func (r *HostRule) DatabaseNames() string { return hostNames(r.Databases) }

// UserNames writes the users that the rule is about.
func (r *HostRule) UserNames() string { return hostNames(r.Users) }

// Wanted is what a client has to have: with neither a certificate nor a password it is taken
// at its word.
type Wanted struct{ Reject, Certificate, Password bool }

// Wants is what the rule wants of a client that has shown a certificate, or none.
func (r *HostRule) Wants(shown bool) Wanted {
	switch r.Method {
	case MethodCert:
		return Wanted{Certificate: true}
	case MethodPassword:
		return Wanted{Certificate: r.BothCert, Password: true}
	case MethodEither:
		return Wanted{Certificate: shown, Password: !shown}
	case MethodTrust:
		return Wanted{}
	default:
		return Wanted{Reject: true}
	}
}
