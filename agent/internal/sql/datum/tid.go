package datum

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// tidParts are the block of (block,place) and the place in it.
func tidParts(s string) (block uint32, place uint16, ok bool) {
	within, closed := strings.CutSuffix(s, ")")
	within, opened := strings.CutPrefix(within, "(")
	first, second, two := strings.Cut(within, ",")
	b, err := strconv.ParseInt(strings.TrimLeft(first, arraySpaces), 10, 64)
	p, err2 := strconv.ParseUint(strings.TrimLeft(second, arraySpaces), 10, 16)
	ok = opened && closed && two && err == nil && err2 == nil && b >= math.MinInt32 && b <= math.MaxUint32
	return uint32(b), uint16(p), ok //nolint:gosec // a negative one is counted from the end, as in PostgreSQL
}

func makeTid(block uint32, place uint16) Datum {
	return MakeString(Tid, "("+strconv.FormatUint(uint64(block), 10)+","+strconv.FormatUint(uint64(place), 10)+")")
}

// parseTid reads (block,place).
func parseTid(s string) (Datum, error) {
	block, place, ok := tidParts(s)
	if !ok {
		return Datum{}, invalidText(Tid, s)
	}
	return makeTid(block, place), nil
}

func appendTidBinary(dst []byte, s string) []byte {
	block, place, _ := tidParts(s)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(dst, block), place)
}

func parseTidBinary(b []byte) (Datum, error) {
	return makeTid(binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:])), nil
}
