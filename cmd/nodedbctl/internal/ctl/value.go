package ctl

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Share is a flag such as 80% or 0.8, held as 0..1.
type Share float64

// String implements pflag.Value.
func (s *Share) String() string {
	if *s == 0 {
		return ""
	}
	return fmt.Sprintf("%g%%", float64(*s)*100)
}

// Set implements pflag.Value.
func (s *Share) Set(text string) error {
	body, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(body, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v > 0 && v <= 1) {
		return fmt.Errorf("%q is no share: write 80%% or 0.8", text)
	}
	*s = Share(v)
	return nil
}

// Type implements pflag.Value.
func (s *Share) Type() string { return "share" }

// ByteRate is a flag such as 64MiB/s, held as bytes per second.
type ByteRate uint64

// String implements pflag.Value.
func (r *ByteRate) String() string {
	if *r == 0 {
		return ""
	}
	for _, u := range byteUnits[:3] {
		if unit := uint64(u.factor); uint64(*r)%unit == 0 && uint64(*r)/unit < 1<<10 {
			return fmt.Sprintf("%d%s/s", uint64(*r)/unit, u.suffix)
		}
	}
	return fmt.Sprintf("%dB/s", uint64(*r))
}

var byteUnits = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"k", 1 << 10}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1}, {"", 1},
}

// Set implements pflag.Value.
func (r *ByteRate) Set(text string) error {
	body := strings.TrimSuffix(text, "/s")
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(body, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			continue
		}
		if v *= u.factor; v < 1 || v > math.MaxInt64 {
			break
		}
		*r = ByteRate(v)
		return nil
	}
	return fmt.Errorf("%q is no rate: write 64MiB/s", text)
}

// Type implements pflag.Value.
func (r *ByteRate) Type() string { return "rate" }
