package datum

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// An inet or cidr is kept in S in the form in which it is ordered and is a key: 4 or 6,
// the network (the address without the bits right of the mask), the length of the mask,
// the address. PostgreSQL compares the bits that both masks have, then the masks, then
// the addresses; that is the order of these bytes.
func makeInet(t Type, addr netip.Addr, bits int) Datum {
	family := byte(4)
	if !addr.Is4() {
		family = 6
	}
	network := netip.PrefixFrom(addr, bits).Masked().Addr()
	s := append([]byte{family}, network.AsSlice()...)
	return MakeString(t, string(append(append(s, byte(bits)), addr.AsSlice()...)))
}

// inetSize is the length of a value that begins with family; 0: there is none.
func inetSize(family byte) int {
	switch family {
	case 4:
		return 1 + 4 + 1 + 4
	case 6:
		return 1 + 16 + 1 + 16
	default:
		return 0
	}
}

// inetOf takes a value apart; ok is false if s is none.
func inetOf(t Type, s string) (addr netip.Addr, bits int, ok bool) {
	if s == "" || len(s) != inetSize(s[0]) {
		return addr, 0, false
	}
	size := (len(s) - 2) / 2
	bits = int(s[1+size])
	addr, ok = netip.AddrFromSlice([]byte(s[2+size:]))
	if !ok || bits > size*8 || makeInet(t, addr, bits).S != s || t == Cidr && s[1:1+size] != s[2+size:] {
		return addr, 0, false
	}
	return addr, bits, true
}

// appendInet writes the length of the mask of an inet only if it is not the whole
// address, unless full is set.
func appendInet(dst []byte, d Datum, full bool) []byte {
	addr, bits, ok := inetOf(d.Type, d.S)
	if !ok {
		return dst
	}
	if b := addr.As16(); addr.Is6() && string(b[:12]) == strings.Repeat("\x00", 12) && (b[12] != 0 || b[13] != 0) {
		dst = append(append(dst, "::"...), netip.AddrFrom4([4]byte(b[12:])).String()...) // as PostgreSQL has it
	} else {
		dst = addr.AppendTo(dst)
	}
	if !full && d.Type == Inet && bits == addr.BitLen() {
		return dst
	}
	return strconv.AppendInt(append(dst, '/'), int64(bits), 10)
}

// InetText is the text of an inet or cidr that a cast gives, which always has a mask.
func InetText(d Datum) string { return string(appendInet(nil, d, true)) }

// InetAs makes an inet of a cidr, and the cidr of an inet's network.
func InetAs(d Datum, to Type) Datum {
	addr, bits, ok := inetOf(d.Type, d.S)
	if !ok {
		return MakeNull(to)
	}
	if to == Cidr {
		addr = netip.PrefixFrom(addr, bits).Masked().Addr()
	}
	return makeInet(to, addr, bits)
}

func parseInet(t Type, s string) (Datum, error) {
	host, mask, masked := strings.Cut(s, "/")
	bits := -1
	if masked {
		n, err := strconv.ParseUint(mask, 10, 8)
		if err != nil || mask[0] == '+' {
			return Datum{}, invalidText(t, s)
		}
		bits = int(n)
	}
	var addr netip.Addr
	if strings.Contains(host, ":") {
		var err error
		if addr, err = netip.ParseAddr(host); err != nil || addr.Zone() != "" {
			return Datum{}, invalidText(t, s)
		}
	} else {
		octets, n, ok := parseOctets(host)
		if !ok || t == Inet && n < 4 && !masked {
			return Datum{}, invalidText(t, s)
		}
		if addr = netip.AddrFrom4(octets); !masked && t == Cidr {
			bits = classOf(octets[0], n)
		}
	}
	if bits < 0 {
		bits = addr.BitLen()
	}
	if bits > addr.BitLen() {
		return Datum{}, invalidText(t, s)
	}
	if t == Cidr && netip.PrefixFrom(addr, bits).Masked().Addr() != addr {
		e := errorf(codeInvalidText, "invalid cidr value: %q", clip(s))
		e.Detail = "Value has bits set to right of mask."
		return Datum{}, e
	}
	return makeInet(t, addr, bits), nil
}

// parseOctets reads up to four numbers; n says how many.
func parseOctets(s string) (octets [4]byte, n int, ok bool) {
	for _, part := range strings.Split(s, ".") {
		v, err := strconv.ParseUint(part, 10, 8)
		if err != nil || n == len(octets) || part[0] == '+' {
			return octets, 0, false
		}
		octets[n] = byte(v)
		n++
	}
	return octets, n, true
}

// classOf is the mask of a network that is written without one, by its first number and
// by how many there are.
func classOf(first byte, n int) int {
	bits := 8
	switch {
	case first >= 240:
		bits = 32
	case first >= 224:
		if n == 1 {
			return 4
		}
	case first >= 192:
		bits = 24
	case first >= 128:
		bits = 16
	}
	return max(bits, n*8)
}

// The families of PostgreSQL's binary form.
const (
	wireInet4 = 2
	wireInet6 = 3
)

func appendInetBinary(dst []byte, d Datum) []byte {
	addr, bits, _ := inetOf(d.Type, d.S)
	family, cidr := byte(wireInet4), byte(0)
	if !addr.Is4() {
		family = wireInet6
	}
	if d.Type == Cidr {
		cidr = 1
	}
	return append(append(dst, family, byte(bits), cidr, byte(addr.BitLen()/8)), addr.AsSlice()...)
}

func parseInetBinary(t Type, b []byte) (Datum, error) {
	const header = 4
	size := map[byte]int{wireInet4: net.IPv4len, wireInet6: net.IPv6len}
	switch {
	case len(b) < 1:
		return Datum{}, noByte()
	case size[b[0]] == 0:
		return Datum{}, external("address family", t)
	case len(b) < 2:
		return Datum{}, noByte()
	case int(b[1]) > 8*size[b[0]]:
		return Datum{}, external("bits", t)
	case len(b) < header:
		return Datum{}, noByte()
	case int(b[3]) != size[b[0]]:
		return Datum{}, external("length", t)
	case len(b) < header+int(b[3]):
		return Datum{}, noByte()
	}
	addr, _ := netip.AddrFromSlice(b[header : header+int(b[3])])
	d := makeInet(t, addr, int(b[1]))
	if _, _, ok := inetOf(t, d.S); !ok {
		return Datum{}, &Error{Code: codeInvalidBinary, Message: `invalid external "cidr" value`, Detail: "Value has bits set to right of mask."}
	}
	if len(b) > header+int(b[3]) {
		return Datum{}, ErrSurplus
	}
	return d, nil
}
