package cluster

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxTiers is how many tiers a locality may have, and terms a list of constraints.
const MaxTiers = 8

// Tier is one level of where a node is.
type Tier struct{ Key, Value string }

func (t Tier) String() string { return t.Key + "=" + t.Value }

// Locality is where a node is, from the widest tier to the narrowest: "region=eu,zone=a".
type Locality []Tier

var tierForm = regexp.MustCompile(`^([A-Za-z0-9._-]{1,32})=([A-Za-z0-9._-]{1,64})$`)

// ParseLocality reads what people write; "" is no locality.
func ParseLocality(text string) (Locality, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) > MaxTiers {
		return nil, fmt.Errorf("locality %q has more than %d tiers", text, MaxTiers)
	}
	var out Locality
	for _, part := range parts {
		t, ok := parseTier(part)
		if !ok {
			return nil, fmt.Errorf("locality %q must look like region=eu,zone=a", text)
		}
		if slices.ContainsFunc(out, func(x Tier) bool { return x.Key == t.Key }) {
			return nil, fmt.Errorf("locality %q says twice which %s it is", text, t.Key)
		}
		out = append(out, t)
	}
	return out, nil
}

func parseTier(text string) (Tier, bool) {
	m := tierForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return Tier{}, false
	}
	return Tier{Key: m[1], Value: m[2]}, true
}

func (l Locality) String() string {
	parts := make([]string, len(l))
	for i, t := range l {
		parts[i] = t.String()
	}
	return strings.Join(parts, ",")
}

// Has reports whether t is a tier of l.
func (l Locality) Has(t Tier) bool {
	return slices.Contains(l, t)
}

// Shared is how many tiers, from the widest on, l and m have in common. Where one
// says nothing, it shares with those that say nothing either.
func (l Locality) Shared(m Locality) int {
	for i := range MaxTiers {
		if l.tier(i) != m.tier(i) {
			return i
		}
	}
	return MaxTiers
}

func (l Locality) tier(i int) Tier {
	if i < len(l) {
		return l[i]
	}
	return Tier{}
}

// Constraint is a term of where replicas may be.
type Constraint struct {
	Tier
	Forbidden bool
}

func (c Constraint) String() string {
	if c.Forbidden {
		return "-" + c.Tier.String()
	}
	return "+" + c.Tier.String()
}

// Constraints say where replicas may be: "+zone=a,-disk=hdd". All must hold.
type Constraints []Constraint

// ParseConstraints reads what people write; "" is no constraint.
func ParseConstraints(text string) (Constraints, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) > MaxTiers {
		return nil, fmt.Errorf("constraints %q have more than %d terms", text, MaxTiers)
	}
	var out Constraints
	for _, part := range parts {
		part = strings.TrimSpace(part)
		t, ok := Tier{}, false
		if part != "" && (part[0] == '+' || part[0] == '-') {
			t, ok = parseTier(part[1:])
		}
		if !ok {
			return nil, fmt.Errorf("constraint %q must look like +zone=a (required) or -zone=a (forbidden)", part)
		}
		c := Constraint{Tier: t, Forbidden: part[0] == '-'}
		for _, x := range out {
			switch {
			case x == c:
				return nil, fmt.Errorf("constraint %s is there twice", c)
			case x.Tier == c.Tier:
				return nil, fmt.Errorf("constraints %s and %s cannot both hold", x, c)
			case !x.Forbidden && !c.Forbidden && x.Key == c.Key:
				return nil, fmt.Errorf("constraints %s and %s cannot both hold: a node has one %s", x, c, c.Key)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func (cs Constraints) String() string {
	parts := make([]string, len(cs))
	for i, c := range cs {
		parts[i] = c.String()
	}
	return strings.Join(parts, ",")
}

// Broken returns the first term that a node at l breaks; ok is false if there is none.
func (cs Constraints) Broken(l Locality) (c Constraint, ok bool) {
	for _, c := range cs {
		if l.Has(c.Tier) == c.Forbidden {
			return c, true
		}
	}
	return Constraint{}, false
}

// Admit reports whether a replica may be on a node at l.
func (cs Constraints) Admit(l Locality) bool {
	_, broken := cs.Broken(l)
	return !broken
}

// MarshalJSON writes them as people do.
func (cs Constraints) MarshalJSON() ([]byte, error) { return json.Marshal(cs.String()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (cs *Constraints) UnmarshalJSON(b []byte) error {
	return unmarshalText(b, cs, ParseConstraints)
}

// Preference says which nodes had better lead: "region=eu,zone=b". All must hold.
type Preference []Tier

// ParsePreference reads what people write; "" is none.
func ParsePreference(text string) (Preference, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	l, err := ParseLocality(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return nil, fmt.Errorf("a preference for leaders must look like zone=b, not %q", text)
	}
	return Preference(l), nil
}

func (p Preference) String() string { return Locality(p).String() }

// Likes reports whether a node at l is one that had better lead; everyone is if
// nothing is preferred.
func (p Preference) Likes(l Locality) bool {
	for _, t := range p {
		if !l.Has(t) {
			return false
		}
	}
	return true
}

// MarshalJSON writes it as people do.
func (p Preference) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Preference) UnmarshalJSON(b []byte) error { return unmarshalText(b, p, ParsePreference) }

func unmarshalText[T any](b []byte, to *T, parse func(string) (T, error)) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	v, err := parse(text)
	if err != nil {
		return err
	}
	*to = v
	return nil
}
