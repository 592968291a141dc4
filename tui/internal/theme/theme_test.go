package theme

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// TestSymbolsDiffer holds that no two levels and no two range states share a
// shape, and that each takes one cell.
func TestSymbolsDiffer(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		th := New(Want{Name: Mono, Profile: colorprofile.ASCII, Ascii: ascii})
		seen := map[string]Level{}
		for l := Quiet; l <= Broken; l++ {
			mark, _ := th.Mark(l)
			if before, ok := seen[mark]; ok {
				t.Errorf("levels %d and %d are both %q", before, l, mark)
			}
			seen[mark] = l
			if ansi.StringWidth(mark) != 1 {
				t.Errorf("%q takes %d cells", mark, ansi.StringWidth(mark))
			}
		}
		glyphs := map[string]string{}
		for _, s := range []string{"healthy", "moving", "electing", "under", "over", "no-quorum", "unknown"} {
			g := th.RangeGlyph(s)
			if glyphs[g] != "" {
				t.Errorf("%s and %s are both %q", glyphs[g], s, g)
			}
			glyphs[g] = s
		}
		v := reflect.ValueOf(*th.Sym)
		for i := range v.NumField() {
			s := fmt.Sprint(v.Field(i).Interface())
			for _, r := range s {
				if ascii && r > 0x7e {
					t.Errorf("%s is %q: not ASCII", v.Type().Field(i).Name, s)
				}
			}
		}
	}
}

// TestProfiles holds that a look writes only what the terminal can show.
func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		want   Want
		name   string
		has    string
		hasNot string
	}{
		{Want{Name: Auto, Profile: colorprofile.TrueColor}, Dark, "38;2;", "38;5;"},
		{Want{Name: Auto, Light: true, Profile: colorprofile.ANSI256}, Light, "38;5;", "38;2;"},
		{Want{Name: Dark, Profile: colorprofile.ANSI}, Few, "\x1b[3", "38;"},
		{Want{Name: Light, Profile: colorprofile.ASCII}, Mono, "\x1b[1m", "38;"},
		{Want{Name: Mono, Profile: colorprofile.TrueColor}, Mono, "\x1b[1m", "38;"},
		{Want{Name: Few, Profile: colorprofile.TrueColor}, Few, "\x1b[3", "38;"},
	} {
		th := New(c.want)
		var all strings.Builder
		v := reflect.ValueOf(*th)
		for i := range v.NumField() {
			fmt.Fprint(&all, v.Field(i).Interface())
		}
		if th.Name != c.name || !strings.Contains(all.String(), c.has) || strings.Contains(all.String(), c.hasNot) {
			t.Errorf("%+v: %s; want %s with %q and without %q in %q", c.want, th.Name, c.name, c.has, c.hasNot, all.String())
		}
	}
}

// TestContrast holds that status can be read: 4.5 to 1 on the grounds that
// terminals have, and 4.5 to 1 for text on colour.
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		name    string
		colors  *colors
		grounds []string
	}{{"dark", &darkColors, []string{"000000", "16191D", "282C34"}}, {"light", &lightColors, []string{"FFFFFF", "FDF6E3"}}} {
		for role, x := range map[string]color{"ok": c.colors.ok, "warn": c.colors.warn, "bad": c.colors.bad, "busy": c.colors.busy, "info": c.colors.info, "dim": c.colors.dim} {
			for _, g := range c.grounds {
				if r := contrast(x.rgb, g); r < 4.5 {
					t.Errorf("%s %s on #%s: contrast %.1f", c.name, role, g, r)
				}
			}
			if role != "dim" && role != "info" {
				if r := contrast(x.rgb, c.colors.on.rgb); r < 4.5 {
					t.Errorf("%s text on %s: contrast %.1f", c.name, role, r)
				}
			}
		}
		for i := range c.colors.heat {
			if r := contrast(c.colors.heat[i].rgb, c.colors.heatText[i].rgb); r < 3.9 {
				t.Errorf("%s heat %d: contrast of its text %.1f", c.name, i, r)
			}
			if i > 0 && (luminance(c.colors.heat[i].rgb) > luminance(c.colors.heat[i-1].rgb)) != (c.name == "dark") {
				t.Errorf("%s heat %d is out of order", c.name, i)
			}
		}
	}
}

func luminance(rgb string) float64 {
	v, err := strconv.ParseUint(rgb, 16, 32)
	if err != nil {
		return 0
	}
	f := func(c uint64) float64 {
		x := float64(c) / 255
		if x <= 0.03928 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*f(v>>16) + 0.7152*f(v>>8&255) + 0.0722*f(v&255)
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
