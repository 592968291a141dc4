package regex

import (
	"regexp"
	"sync"
	"unicode/utf8"
)

// Regex is a pattern that was understood.
type Regex struct {
	root   *node
	fold   bool
	quick  *regexp.Regexp // finds the longest; nil: it depends on what is before
	Groups int
}

// Compile reads a pattern; options are the letters that PostgreSQL's functions take, all of
// which are known (see Options).
func Compile(pattern, options string) (*Regex, error) {
	key := options + "/" + pattern
	cache.Lock()
	re := cache.known[key]
	cache.Unlock()
	if re != nil {
		return re, nil
	}
	p := &parser{s: []rune(pattern)}
	for _, c := range options {
		p.flags.set(c)
	}
	if err := p.prologue(); err != nil {
		return nil, err
	}
	root, err := &node{source: regexp.QuoteMeta(string(p.s[p.i:]))}, error(nil)
	if !p.flags.literal {
		root, err = p.alternatives()
	}
	if err != nil {
		return nil, err
	}
	re = &Regex{root: root, fold: p.flags.fold, Groups: p.groups}
	if err := re.compile(root); err != nil {
		return nil, err
	}
	if !p.bound {
		source := root.source
		if re.fold {
			source = "(?i)" + source
		}
		if re.quick, err = regexp.Compile(source); err != nil {
			return nil, unsupported("so much repetition")
		}
		re.quick.Longest()
	}
	cache.Lock()
	defer cache.Unlock()
	if cache.known == nil || len(cache.known) >= maxCached {
		cache.known = map[string]*Regex{}
	}
	cache.known[key] = re
	return re, nil
}

const maxCached = 100

//nolint:gochecknoglobals // of patterns, which are the same for all
var cache struct {
	sync.Mutex
	known map[string]*Regex
}

// compile gives the part and those in it their programs. A sequence of more than two parts
// becomes one of two, so that what follows the first has a program, too.
func (re *Regex) compile(n *node) (err error) {
	if n.kind == sequence && len(n.subs) > 2 {
		n.subs = []*node{n.subs[0], join(sequence, "", n.subs[1:])}
	}
	for _, s := range n.subs {
		if err := re.compile(s); err != nil {
			return err
		}
	}
	n.program, err = compile(n.source, re.fold)
	return err
}

// Option reports whether a letter is one of the options of a pattern.
func Option(c rune) bool { return (&flags{}).set(c) }

// Match reports whether there is a match.
func (re *Regex) Match(text string) bool {
	if re.quick != nil {
		return re.quick.MatchString(text)
	}
	_, _, ok := re.extent(text, 0)
	return ok
}

// extent finds the first match that begins at from or later.
func (re *Regex) extent(text string, from int) (begin, end int, ok bool) {
	if re.quick != nil {
		loc := re.quick.FindStringIndex(text[from:])
		if loc == nil {
			return 0, 0, false
		}
		begin, end = from+loc[0], from+loc[1]
		if re.root.prefers == shorter {
			re.root.program.ends(text, begin, end, func(e int) bool {
				end = e
				return false
			})
		}
		return begin, end, true
	}
	for begin = from; ; {
		re.root.program.ends(text, begin, len(text), func(e int) bool {
			end, ok = e, true
			return re.root.prefers != shorter
		})
		if ok || begin >= len(text) {
			return begin, end, ok
		}
		_, size := utf8.DecodeRuneInString(text[begin:])
		begin += size
	}
}

// Find finds the first match that begins at from or later: where it and its groups begin
// and end, -1 for groups that have none; nil: there is no match.
func (re *Regex) Find(text string, from int) []int {
	begin, end, ok := re.extent(text, from)
	if !ok {
		return nil
	}
	out := make([]int, 2*(re.Groups+1))
	for i := range out {
		out[i] = -1
	}
	out[0], out[1] = begin, end
	if re.Groups > 0 {
		re.dissect(re.root, text, begin, end, out)
	}
	return out
}

// matches reports whether a part can be what is between two places.
func (n *node) matches(text string, from, to int) (ok bool) {
	n.program.ends(text, from, to, func(end int) bool {
		ok = end == to
		return !ok
	})
	return ok
}

// candidates are where a part can end, in the order of its preference.
func (n *node) candidates(text string, from, to int) []int {
	var out []int
	n.program.ends(text, from, to, func(end int) bool {
		out = append(out, end)
		return true
	})
	if n.prefers != shorter {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// dissect finds the groups of a part that is what is between two places.
func (re *Regex) dissect(n *node, text string, from, to int, out []int) {
	if !n.groups {
		return
	}
	switch n.kind {
	case capture:
		out[2*n.group], out[2*n.group+1] = from, to
		re.dissect(n.subs[0], text, from, to, out)
	case sequence:
		for _, mid := range n.subs[0].candidates(text, from, to) {
			if n.subs[1].matches(text, mid, to) {
				re.dissect(n.subs[0], text, from, mid, out)
				re.dissect(n.subs[1], text, mid, to, out)
				return
			}
		}
	case alternation:
		for _, s := range n.subs {
			if s.matches(text, from, to) {
				re.dissect(s, text, from, to, out)
				return
			}
		}
	case iteration:
		re.iterate(n, text, from, to, out)
	default:
	}
}

// iterate finds the groups of the last of the repetitions.
func (re *Regex) iterate(n *node, text string, from, to int, out []int) {
	sub, least := n.subs[0], max(n.min, 1)
	failed := map[[2]int]bool{}
	var step func(k, pos int) (begin int, ok bool)
	step = func(k, pos int) (int, bool) {
		if key := [2]int{k, pos}; failed[key] || n.max >= 0 && k >= n.max {
			return 0, false
		}
		for _, end := range sub.candidates(text, pos, to) {
			if end == pos && k >= least { // which gains nothing
				continue
			}
			if end == to && k+1 >= least {
				return pos, true
			}
			if begin, ok := step(k+1, end); ok {
				return begin, true
			}
		}
		failed[[2]int{k, pos}] = true
		return 0, false
	}
	if begin, ok := step(0, from); ok {
		re.dissect(sub, text, begin, to, out)
	}
}
