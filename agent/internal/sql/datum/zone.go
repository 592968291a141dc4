package datum

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// maxZoneName bounds what is looked up.
	maxZoneName = 64
	// maxZoneOffset bounds offsets that are made of numbers: no zone on Earth reaches a day.
	// maxPosixOffset is PostgreSQL's limit of those that are written.
	maxZoneOffset  = 24*3600 - 60
	maxPosixOffset = 7*24*3600 - 60
)

// LoadZone finds a time zone by its IANA name, in any case, or makes one of a fixed
// offset of POSIX's form, which counts westward: UTC+3, <+05>-5, -03:30. The
// location is called as PostgreSQL shows the zone.
func LoadZone(name string) (*time.Location, error) {
	if name != "" && len(name) <= maxZoneName {
		for _, n := range zoneSpellings(name) {
			if loc, err := time.LoadLocation(n); err == nil {
				return loc, nil
			}
		}
		if seconds, ok := posixOffset(name); ok {
			return time.FixedZone(name, seconds), nil
		}
		if loc, ok := posixZone(name); ok {
			return loc, nil
		}
	}
	return nil, errorf("22023", "time zone %q not recognized", clip(name))
}

// posixZone makes the zone of a rule in POSIX's form, with daylight saving: EST5EDT,M3.2.0,M11.1.0.
// Package time reads such a rule at the end of a file.
func posixZone(rule string) (*time.Location, bool) {
	standard := strings.IndexFunc(rule, isDigitRune)
	if standard < 0 {
		return nil, false
	}
	end := standard + strings.IndexFunc(rule[standard:]+"X", func(r rune) bool { return !isDigitRune(r) && r != ':' })
	seconds, ok := posixOffset(rule[:end])
	if !ok || end == len(rule) {
		return nil, false
	}
	const types, letters = 1, 4
	block := func(version byte) string {
		head := append([]byte("TZif"), version)
		head = append(head, make([]byte, 15+4*4)...)
		head = binary.BigEndian.AppendUint32(head, types)
		head = binary.BigEndian.AppendUint32(head, letters)
		head = binary.BigEndian.AppendUint32(head, uint32(int32(seconds)))
		return string(head) + "\x00\x00STD\x00"
	}
	loc, err := time.LoadLocationFromTZData(rule, []byte(block('2')+block('2')+"\n"+rule+"\n"))
	if err != nil {
		return nil, false
	}
	winter, summer := time.Unix(0, 0).In(loc), time.Unix(15_000_000, 0).In(loc)
	_, x := winter.Zone()
	_, y := summer.Zone()
	return loc, x != y // else the rule was not understood
}

func isDigitRune(r rune) bool { return r >= '0' && r <= '9' }

// zoneSpellings are how a name may be spelled in the time zone database, which
// distinguishes case.
func zoneSpellings(name string) []string {
	if strings.EqualFold(name, "local") { // means something to package time
		return nil
	}
	upper := strings.ToUpper(name)
	var title strings.Builder
	start, small := true, map[string]bool{"of": true, "es": true, "au": true}
	for i := 0; i < len(name); i++ {
		c := upper[min(i, len(upper)-1)]
		word, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(name[i:]), "-", "_"), "_")
		if !start || small[word] {
			c = strings.ToLower(name)[i]
		}
		start = c == '/' || c == '_' || c == '-'
		title.WriteByte(c)
	}
	area, rest, _ := strings.Cut(title.String(), "/")
	return []string{name, upper, title.String(), strings.ToUpper(area) + "/" + rest, area + "/" + strings.ToUpper(rest)}
}

// posixOffset reads [abbreviation]offset, east of UTC. Rules for daylight saving
// are not read.
func posixOffset(s string) (seconds int, ok bool) {
	if strings.HasPrefix(s, "<") {
		end := strings.IndexByte(s, '>')
		if end < 0 {
			return 0, false
		}
		s = s[end+1:]
	} else {
		letters := strings.IndexFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') })
		if letters < 0 || letters > 0 && letters < 3 {
			return 0, false
		}
		s = s[letters:]
	}
	sign := -1
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = 1
		}
		s = s[1:]
	}
	total, unit := 0, 3600
	for i, part := range strings.Split(s, ":") {
		n, err := strconv.Atoi(part)
		if err != nil || i > 2 || len(part) > 3 || len(part) > 2 && i > 0 || !isDigit(part[0]) || i > 0 && n > 59 || i == 2 && n > 0 {
			return 0, false // seconds are leap seconds to PostgreSQL
		}
		total += n * unit
		unit /= 60
	}
	return sign * total, total <= maxPosixOffset
}

// OffsetZone is the name of the zone that is seconds east of UTC; ok is false if
// that is too far.
func OffsetZone(seconds int) (name string, ok bool) {
	sign, back := '+', '-'
	n := seconds
	if n < 0 {
		sign, back, n = '-', '+', -n
	}
	clock := fmt.Sprintf("%02d", n/3600)
	if n%3600 != 0 {
		clock += fmt.Sprintf(":%02d", n/60%60)
	}
	return fmt.Sprintf("<%c%s>%c%s", sign, clock, back, clock), n <= maxZoneOffset && n%60 == 0
}

// EngineZone is the name of a zone of LoadZone in DuckDB, which knows no offsets but
// those of whole hours in Etc; ok is false if there is none.
func EngineZone(name string) (engine string, ok bool) {
	if _, err := time.LoadLocation(name); err == nil {
		return name, true
	}
	const first, last = -12, 14
	seconds, ok := posixOffset(name)
	if ok && seconds == 0 {
		return "UTC", true
	}
	if hours := seconds / 3600; ok && seconds%3600 == 0 && hours >= first && hours <= last {
		return fmt.Sprintf("Etc/GMT%+d", -hours), true // counts westward, as POSIX does
	}
	return "", false
}
