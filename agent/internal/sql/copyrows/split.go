package copyrows

import "bytes"

// splitText takes a line of the text format apart.
func (r *Reader) splitText(line []byte) error {
	delimiter := r.options.Delimiter
	if bytes.IndexByte(line, '\\') < 0 { // nearly always
		r.scratch = append(r.scratch, line...)
		for from := 0; ; {
			n := bytes.IndexByte(line[from:], delimiter)
			to := len(line)
			if n >= 0 {
				to = from + n
			}
			r.values = append(r.values, field{from: from, to: to, null: string(line[from:to]) == r.options.Null})
			if n < 0 {
				return nil
			}
			from = to + 1
		}
	}
	for i := 0; ; {
		begin, f, bytesWritten := i, field{from: len(r.scratch)}, false
		for i < len(line) && line[i] != delimiter {
			if line[i] != '\\' {
				r.scratch = append(r.scratch, line[i])
				i++
				continue
			}
			if i+1 == len(line) { // what it would escape is behind the end of the data
				line = line[:i]
				break
			}
			c, n, coded := unescape(line[i+1:])
			r.scratch = append(r.scratch, c)
			i += 1 + n
			bytesWritten = bytesWritten || coded
		}
		f.to = len(r.scratch)
		f.null = string(line[begin:i]) == r.options.Null
		r.values = append(r.values, f)
		if bytesWritten && !f.null {
			if err := checkText(r.scratch[f.from:f.to]); err != nil {
				return err
			}
		}
		if i == len(line) {
			return nil
		}
		i++
	}
}

// unescape reads what stands behind a backslash: the byte, and how long it is. coded says
// that it is written as a number.
func unescape(b []byte) (c byte, n int, coded bool) {
	switch b[0] {
	case 'b':
		return '\b', 1, false
	case 'f':
		return '\f', 1, false
	case 'n':
		return '\n', 1, false
	case 'r':
		return '\r', 1, false
	case 't':
		return '\t', 1, false
	case 'v':
		return '\v', 1, false
	case 'x':
		v := 0
		for n = 1; n < 3 && n < len(b); n++ {
			d := hexDigit(b[n])
			if d < 0 {
				break
			}
			v = v<<4 | d
		}
		if n == 1 {
			return 'x', 1, false
		}
		return byte(v), n, true
	}
	if b[0] < '0' || b[0] > '7' {
		return b[0], 1, false
	}
	v := 0
	for n = 0; n < 3 && n < len(b) && b[n] >= '0' && b[n] <= '7'; n++ {
		v = v<<3 | int(b[n]-'0')
	}
	return byte(v), n, true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// splitCSV takes a line of the CSV format apart.
func (r *Reader) splitCSV(line []byte) error {
	delimiter, quote, escape := r.options.Delimiter, r.options.Quote, r.options.Escape
	for i := 0; ; {
		begin, f, quoted, inside := i, field{from: len(r.scratch)}, false, false
		for i < len(line) {
			c := line[i]
			switch {
			case inside && c == escape && i+1 < len(line) && (line[i+1] == escape || line[i+1] == quote):
				r.scratch = append(r.scratch, line[i+1])
				i++
			case c == quote:
				inside, quoted = !inside, true
			case !inside && c == delimiter:
				goto end
			default:
				r.scratch = append(r.scratch, c)
			}
			i++
		}
		if inside {
			return badFormat("unterminated CSV quoted field")
		}
	end:
		f.to = len(r.scratch)
		f.null = !quoted && string(line[begin:i]) == r.options.Null
		r.values = append(r.values, f)
		if i == len(line) {
			return nil
		}
		i++
	}
}
