package regex

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// program finds where a part can end.
type program struct {
	*syntax.Prog
	asserts []byte // by the number of a group: which assertion about words it is
}

func compile(source string, fold bool) (*program, error) {
	flags := syntax.Perl
	if fold {
		flags |= syntax.FoldCase
	}
	re, err := syntax.Parse(source, flags)
	if err != nil {
		return nil, unsupported("so much repetition")
	}
	out := &program{}
	for _, name := range re.CapNames() {
		kind := byte(0)
		if name != "" {
			kind = name[0]
		}
		out.asserts = append(out.asserts, kind)
	}
	if out.Prog, err = syntax.Compile(re.Simplify()); err != nil {
		return nil, unsupported("so much repetition")
	}
	return out, nil
}

// threads are the places that a program is at.
type threads struct {
	seen []uint32 // by place: when it was added last
	at   uint32
	list []uint32
}

// ends calls found with where a match that begins at from can end, up to to, the nearest
// first, until it returns false.
func (p *program) ends(text string, from, to int, found func(end int) bool) {
	now, next := &threads{seen: make([]uint32, len(p.Inst))}, &threads{seen: make([]uint32, len(p.Inst))}
	now.at, next.at = 1, 1
	before := rune(-1)
	if from > 0 {
		before, _ = utf8.DecodeLastRuneInString(text[:from])
	}
	var todo []uint32
	todo = append(todo, uint32(p.Start))
	for pos := from; ; {
		r, size := rune(-1), 0
		if pos < len(text) {
			r, size = utf8.DecodeRuneInString(text[pos:])
		}
		matched := false
		for len(todo) > 0 { // the places of before, and where they lead without a character
			pc := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if now.seen[pc] == now.at {
				continue
			}
			now.seen[pc] = now.at
			switch in := &p.Inst[pc]; in.Op {
			case syntax.InstAlt, syntax.InstAltMatch:
				todo = append(todo, in.Out, in.Arg)
			case syntax.InstEmptyWidth:
				if syntax.EmptyOp(in.Arg)&^syntax.EmptyOpContext(before, r) == 0 {
					todo = append(todo, in.Out)
				}
			case syntax.InstCapture:
				if holds(p.asserts[in.Arg/2], before, r) {
					todo = append(todo, in.Out)
				}
			case syntax.InstNop:
				todo = append(todo, in.Out)
			case syntax.InstMatch:
				matched = true
			case syntax.InstFail:
			default:
				now.list = append(now.list, pc)
			}
		}
		if matched && !found(pos) || pos >= to || len(now.list) == 0 {
			return
		}
		for _, pc := range now.list {
			if in := &p.Inst[pc]; in.MatchRune(r) {
				todo = append(todo, in.Out)
			}
		}
		now.list = now.list[:0]
		now.at++
		before, pos = r, pos+size
	}
}

// holds reports whether an assertion about words is true between two characters.
func holds(what byte, before, after rune) bool {
	a, b := isWord(before), isWord(after)
	switch what {
	case 'm':
		return !a && b
	case 'M':
		return a && !b
	case 'y':
		return a != b
	case 'Y':
		return a == b
	}
	return true
}

func isWord(r rune) bool { return r == '_' || r >= 0 && (unicode.IsLetter(r) || unicode.IsNumber(r)) }
