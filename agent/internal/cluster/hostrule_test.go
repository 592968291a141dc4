package cluster

import (
	"net/netip"
	"strings"
	"testing"
)

func TestHostRules(t *testing.T) {
	rules, err := ParseHostRules(`
# who may come
host all intruder all reject
hostssl "all" , app  app,"report" 10.0.0.0/8 cert   # two databases, one of them called all
host all +readers 192.168.0.0 255.255.0.0 scram-sha-256 clientcert=verify-full
host sameuser all ::1/128 trust
host samerole all fd00::/8 cert-scram-sha-256
`)
	if err != nil {
		t.Fatal(err)
	}
	member := map[string][]string{"rea": {"readers"}, "samuel": {"team"}}
	for _, c := range []struct{ user, database, address, want string }{
		{"intruder", "app", "10.1.1.1", "host all intruder all reject"},
		{"app", "app", "10.1.1.1", `hostssl "all",app app,"report" 10.0.0.0/8 cert`},
		{"app", "app", "::ffff:10.1.1.1", `hostssl "all",app app,"report" 10.0.0.0/8 cert`},
		{"report", "all", "10.1.1.1", `hostssl "all",app app,"report" 10.0.0.0/8 cert`},
		{"report", "other", "10.1.1.1", "-"},
		{"app", "app", "11.1.1.1", "-"},
		{"rea", "x", "192.168.7.7", "host all +readers 192.168.0.0/16 scram-sha-256 clientcert=verify-full"},
		{"readers", "x", "192.168.7.7", "host all +readers 192.168.0.0/16 scram-sha-256 clientcert=verify-full"},
		{"app", "x", "192.168.7.7", "-"},
		{"app", "app", "::1", "host sameuser all ::1/128 trust"},
		{"app", "x", "::1", "-"},
		{"samuel", "team", "fd00::7", "host samerole all fd00::/8 cert-scram-sha-256"},
		{"samuel", "other", "fd00::7", "-"},
	} {
		k := Knock{User: c.user, Database: c.database, Address: netip.MustParseAddr(c.address), Member: func(role string) bool {
			return role == c.user || strings.Join(member[c.user], "") == role
		}}
		got := "-"
		if r := rules.Find(k); r != nil {
			got = r.String()
			if again, err := ParseHostRules(got); err != nil || again[0].String() != got {
				t.Errorf("%q is read as %v, %v", got, again, err)
			}
		}
		if got != c.want {
			t.Errorf("%s of %s from %s: %s, want %s", c.user, c.database, c.address, got, c.want)
		}
	}
	for _, text := range []string{"", "\n# none\n"} {
		rules, err := ParseHostRules(text)
		if err != nil || len(rules) != 1 || rules[0].String() != "host all all all cert-scram-sha-256" {
			t.Errorf("%q: %v, %v", text, rules, err)
		}
	}
}

func TestHostRulesRefused(t *testing.T) {
	for text, want := range map[string]string{
		"local all all trust":                                     `line 1: connections of type "local" are not served: write host or hostssl`,
		"hots all all all cert":                                   `line 1: invalid connection type "hots": write host or hostssl`,
		"\nhost all all":                                          "line 2: a rule has a type, databases, users, an address and a method",
		"host all all all trust":                                  "line 1: trust lets in whoever says to be somebody: it is for this machine alone (127.0.0.0/8 or ::1/128)",
		"host all all 0.0.0.0/0 trust":                            "line 1: trust lets in whoever says to be somebody: it is for this machine alone (127.0.0.0/8 or ::1/128)",
		"host all all 127.0.0.0/7 trust":                          "line 1: trust lets in whoever says to be somebody: it is for this machine alone (127.0.0.0/8 or ::1/128)",
		"host all all all md5":                                    `line 1: method "md5" is not supported: write scram-sha-256, cert, cert-scram-sha-256, reject or trust`,
		"host all all all scram":                                  `line 1: invalid method "scram": write scram-sha-256, cert, cert-scram-sha-256, reject or trust`,
		"host all all example.org cert":                           `line 1: invalid address "example.org": write all, or such as 10.0.0.0/8; host names are not looked up`,
		"host all all 10.0.0.1 cert":                              `line 1: invalid mask "cert" of address "10.0.0.1"`,
		"host all all 10.0.0.1 255.0.255.0 cert":                  `line 1: invalid mask "255.0.255.0" of address "10.0.0.1"`,
		"host all all 10.0.0.0/33 cert":                           `line 1: invalid address "10.0.0.0/33": write all, or such as 10.0.0.0/8`,
		"host replication all all cert":                           `line 1: "replication" is not supported: write names, all, sameuser, samerole or +role; a name that reads so in quotes`,
		"host all all all cert map=x":                             `line 1: invalid option "map=x" of method cert: scram-sha-256 takes clientcert=verify-full, the others take none`,
		`host "all all all cert`:                                  "line 1: a quoted name does not end",
		"host all, all cert":                                      "line 1: a rule has a type, databases, users, an address and a method",
		"host ,all all all cert":                                  "line 1: a rule has one type",
		",host all all all cert":                                  "line 1: a name is missing before the comma",
		"host all all all cert,":                                  "line 1: a name is missing after the comma",
		strings.Repeat("host all all all cert\n", maxHostRules+1): "there are 501 rules: 500 at most",
	} {
		if _, err := ParseHostRules(text); err == nil || err.Error() != want {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func FuzzHostRules(f *testing.F) {
	f.Add("host \"a,b\",c +r 10.0.0.0 255.0.0.0 scram-sha-256 clientcert=verify-full # x")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseHostRules(text)
		if err != nil {
			return
		}
		for _, r := range rules {
			again, err := ParseHostRules(r.String())
			if err != nil || again[0].String() != r.String() {
				t.Errorf("%q is read as %v, %v", r.String(), again, err)
			}
		}
	})
}
