package builtin

import (
	"fmt"
	"strings"
)

// write is NUM_processor of PostgreSQL's formatting.c.
func (n *numberFormat) write() (string, error) {
	if n.zeroStart > 0 {
		n.zeroStart--
	}
	if !n.roman {
		n.settle()
	}
	n.places = n.post + n.pre - 1
	if n.fill && n.decimal {
		n.relevant = n.lastRelevant()
	}
	if !n.signWritten && n.spaces == 0 {
		n.places++
	}
	for _, p := range n.parts {
		if p.key == "" {
			n.out.WriteString(p.text)
			continue
		}
		if strings.EqualFold(p.key, "TH") {
			if err := n.ordinal(p.key); err != nil {
				return "", err
			}
			continue
		}
		n.key(p.key)
	}
	text, _, _ := strings.Cut(n.out.String(), "\x00")
	return text, nil
}

// settle decides where the sign is written: by MI, PL and SG, or with the digits.
func (n *numberFormat) settle() {
	if n.plus || n.minus {
		n.signWritten = !n.plus || n.minus
		return
	}
	if n.of != '-' && n.fill {
		n.bracket = false
	}
	n.signWritten = n.of == '+' && n.fill && !n.signed
	if n.sign == signBefore && n.pre == n.preSign {
		n.sign = signAfter
	}
}

// lastRelevant is where the last digit behind the point is that is no zero, or the point; those
// that the format wants by 0 count. -1: there is no point.
func (n *numberFormat) lastRelevant() int {
	point := strings.IndexByte(n.digits, '.')
	if point < 0 {
		return -1
	}
	last := point
	for i := point + 1; i < len(n.digits); i++ {
		if n.digits[i] != '0' {
			last = i
		}
	}
	if n.zeroEnd > n.spaces {
		last = max(last, min(len(n.digits)-1, n.zeroEnd-n.spaces))
	}
	return last
}

func (n *numberFormat) key(key string) {
	switch strings.ToUpper(key) {
	case "9", "0", ".", "D":
		n.digit(key)
	case ",", "G":
		switch {
		case n.inside:
			n.out.WriteByte(',')
		case !n.fill:
			n.out.WriteByte(' ')
		}
	case "L":
		n.out.WriteByte(' ')
	case "RN":
		roman := n.digits
		if key == "rn" {
			roman = strings.ToLower(roman)
		}
		if !n.fill {
			roman = fmt.Sprintf("%15s", roman)
		}
		n.out.WriteString(roman)
	case "MI":
		n.signIf('-')
	case "PL":
		n.signIf('+')
	case "SG":
		n.out.WriteByte(n.of)
	}
}

func (n *numberFormat) signIf(sign byte) {
	switch {
	case n.of == sign:
		n.out.WriteByte(sign)
	case !n.fill:
		n.out.WriteByte(' ')
	}
}

// ordinal is get_th.
func (n *numberFormat) ordinal(key string) error {
	if n.roman || strings.HasPrefix(n.digits, "#") || n.of == '-' || n.decimal {
		return nil
	}
	if c := n.digits[len(n.digits)-1]; c < '0' || c > '9' {
		return fail("22P02", "\"%s\" is not a number", n.digits)
	}
	end := "TH"
	if l := len(n.digits); l < 2 || n.digits[l-2] != '1' {
		switch n.digits[l-1] {
		case '1':
			end = "ST"
		case '2':
			end = "ND"
		case '3':
			end = "RD"
		}
	}
	if key == "th" {
		end = strings.ToLower(end)
	}
	n.out.WriteString(end)
	return nil
}

// current is the digit that comes next; 0: there is none.
func (n *numberFormat) current() byte {
	if n.at < len(n.digits) {
		return n.digits[n.at]
	}
	return 0
}

// beforePoint reports whether the only digit before the point is a zero that is not written:
// 9.9 writes .1
func (n *numberFormat) beforePoint() bool {
	return !n.zero && n.at == 0 && n.current() == '0' && n.post != 0
}

func (n *numberFormat) pointIsLast() bool { return n.relevant >= 0 && n.digits[n.relevant] == '.' }

// digit is NUM_numpart_to_char.
func (n *numberFormat) digit(key string) {
	if n.roman {
		return
	}
	n.inside = false
	n.signBefore()
	switch {
	case n.place < n.spaces && (n.zeroStart > n.place || !n.zero):
		n.blank()
	case n.zero && n.place < n.spaces && n.zeroStart <= n.place:
		n.out.WriteByte('0')
		n.inside = true
	default:
		n.write1(key)
		if n.current() != 0 {
			n.at++
		}
	}
	end := n.places
	if n.spaces > 0 {
		end++
	}
	if n.decimal {
		end++
	}
	if n.relevant >= 0 && n.relevant == n.at {
		end = n.place
	}
	if n.place+1 == end {
		n.signAfterDigits()
	}
	n.place++
}

// write1 writes a digit, or the point.
func (n *numberFormat) write1(key string) {
	c := n.current()
	switch {
	case c == '.':
		if !n.pointIsLast() || n.fill {
			n.out.WriteByte('.')
		}
	case n.relevant >= 0 && n.at > n.relevant && key != "0":
	case n.beforePoint():
		if !n.fill {
			n.out.WriteByte(' ')
		} else if n.pointIsLast() {
			n.out.WriteByte('0')
		}
	default: // where there are no digits any more what is written ends, as a string in C does
		n.out.WriteByte(c)
		n.inside = true
	}
}

func (n *numberFormat) blank() {
	if !n.fill {
		n.out.WriteByte(' ')
	}
}

func (n *numberFormat) signBefore() {
	if n.signWritten || n.place < n.spaces && !(n.zero && n.zeroStart == n.place) || n.beforePoint() && !n.pointIsLast() {
		return
	}
	switch {
	case n.signed:
		if n.sign != signBefore {
			return
		}
		n.out.WriteByte(n.of)
	case n.bracket && n.of == '+':
		n.out.WriteByte(' ')
	case n.bracket:
		n.out.WriteByte('<')
	case n.of == '+':
		n.blank()
	case n.of == '-':
		n.out.WriteByte('-')
	default:
		return
	}
	n.signWritten = true
}

func (n *numberFormat) signAfterDigits() {
	switch {
	case n.signWritten && n.bracket && n.of == '+':
		n.out.WriteByte(' ')
	case n.signWritten && n.bracket:
		n.out.WriteByte('>')
	case n.signed && n.sign == signAfter:
		n.out.WriteByte(n.of)
	}
}
