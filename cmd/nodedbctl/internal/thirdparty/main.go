// Command thirdparty writes docs/THIRD_PARTY.md: which modules are in the
// binaries, under which licences, and the texts that these ask to be passed on.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// platform is the one whose binaries are looked at, so that the file is the
// same wherever it is made.
const platform = "linux"

func main() {
	if len(os.Args) < 3 {
		fail(errors.New("usage: thirdparty FILE PACKAGE..."))
	}
	mods, err := modules(os.Args[2:])
	if err != nil {
		fail(err)
	}
	if err := os.WriteFile(os.Args[1], page(mods), 0o644); err != nil {
		fail(err)
	}
}

func fail(err error) {
	_, _ = fmt.Fprintln(os.Stderr, "thirdparty:", err)
	os.Exit(1)
}

// module is one that is linked into a binary.
type module struct {
	path, version string
	licences      []string // SPDX names, in the order of the text
	texts         []string // its licence files
	notice        string
}

// modules lists the modules that the packages are linked from, by path.
func modules(packages []string) ([]module, error) {
	list := exec.CommandContext(context.Background(), "go", append([]string{"list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}"}, packages...)...)
	list.Env = append(os.Environ(), "GOOS="+platform, "GOARCH=amd64", "CGO_ENABLED=1")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules: %w", err)
	}
	lines := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
	slices.Sort(lines)
	var mods []module
	for _, line := range slices.Compact(lines) {
		f := strings.Split(line, "\t")
		m, err := read(f[0], f[1], f[2])
		if err != nil {
			return nil, err
		}
		mods = append(mods, m)
	}
	return mods, nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice)(\.|$)`)

// read reads the licence files of the module in dir.
func read(path, version, dir string) (module, error) {
	m := module{path: path, version: version}
	files, err := os.ReadDir(dir)
	if err != nil {
		return m, err
	}
	for _, f := range files {
		if f.IsDir() || !licenceFile.MatchString(f.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return m, err
		}
		if strings.HasPrefix(strings.ToLower(f.Name()), "notice") {
			m.notice = string(b)
			continue
		}
		m.texts = append(m.texts, string(b))
		for _, l := range classify(string(b)) {
			if !slices.Contains(m.licences, l) {
				m.licences = append(m.licences, l)
			}
		}
	}
	if len(m.licences) == 0 {
		return m, fmt.Errorf("%s has no licence that is known here: read it before it is linked, then teach classify", path)
	}
	return m, nil
}

// marks are phrases that only texts of a licence have.
var marks = []struct{ licence, phrase, without string }{
	{"MPL-2.0", "mozilla public license, version 2.0", ""},
	{"MPL-2.0", "mozilla public license version 2.0", ""},
	{"Apache-2.0", "apache license", ""},
	{"BSD-3-Clause", "neither the name of", ""},
	{"BSD-3-Clause", "may not be used to endorse or promote", ""},
	{"BSD-2-Clause", "redistribution and use in source and binary forms", "endorse or promote"},
	{"MIT", "permission is hereby granted, free of charge", ""},
	{"ISC", "permission to use, copy, modify, and/or distribute this software", ""},
	{"PostgreSQL", "permission to use, copy, modify, and distribute this software and its documentation for any purpose, without fee", ""},
}

// classify names the licences whose texts are in text.
func classify(text string) []string {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	var found []string
	for _, m := range marks {
		if strings.Contains(text, m.phrase) && (m.without == "" || !strings.Contains(text, m.without)) && !slices.Contains(found, m.licence) {
			found = append(found, m.licence)
		}
	}
	return found
}

// group is one licence text with all modules that came with it.
type group struct {
	licences string
	modules  []string
	holders  []string // the lines that say whose copyright it is
	text     string
}

var (
	holderLine = regexp.MustCompile(`(?i)^\s*(portions )?copyright\s+(\(c\)|©|[0-9]|the |by )`)
	letters    = regexp.MustCompile(`[^a-z]+`)
	title      = regexp.MustCompile(`^ ?(the )?mit license (mit )?`)
)

// groups puts modules together whose texts differ only in the holder of the
// copyright and in the breaks of lines.
func groups(mods []module) []*group {
	byKey := map[string]*group{}
	var all []*group
	for _, m := range mods {
		for _, text := range m.texts {
			var holders, rest []string
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, " \t\r\n")
				if holderLine.MatchString(line) {
					holders = append(holders, strings.TrimSpace(line))
				} else {
					rest = append(rest, line)
				}
			}
			body := strings.Trim(strings.Join(rest, "\n"), "\n")
			key := letters.ReplaceAllString(strings.ToLower(body), " ")
			key = strings.TrimSpace(title.ReplaceAllString(key, ""))
			g := byKey[key]
			if g == nil {
				g = &group{licences: strings.Join(classify(text), " and "), text: body}
				byKey[key], all = g, append(all, g)
			}
			g.modules = append(g.modules, m.path)
			for _, h := range holders {
				if !slices.Contains(g.holders, h) {
					g.holders = append(g.holders, h)
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *group) int { return cmp.Compare(a.licences, b.licences) })
	return all
}

// page is the whole file.
func page(mods []module) []byte {
	var b bytes.Buffer
	b.WriteString("# Third-party software in the binaries\n\nMade by `make generate` from go.mod: do not edit. [DEPENDENCIES.md](DEPENDENCIES.md) says why each is used. The Go runtime and standard library are under the licence of golang.org/x/sys; DuckDB's library holds further works, which its repository lists under third_party.\n\n")
	b.WriteString("## Mozilla Public License 2.0\n\nThese are used unchanged. Their source is what `go mod download MODULE@VERSION` gets, and at the address that the module's path names.\n\n")
	for _, m := range mods {
		if slices.Contains(m.licences, "MPL-2.0") {
			fmt.Fprintf(&b, "- %s %s\n", m.path, m.version)
		}
	}
	b.WriteString("\n## All modules\n\n| module | version | licence |\n|---|---|---|\n")
	for _, m := range mods {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.path, m.version, strings.Join(m.licences, ", "))
	}
	b.WriteString("\n## Texts\n")
	for _, g := range groups(mods) {
		fmt.Fprintf(&b, "\n### %s\n\nOf %s.\n\n~~~\n", g.licences, strings.Join(g.modules, ", "))
		if len(g.holders) > 0 {
			fmt.Fprintf(&b, "%s\n\n", strings.Join(g.holders, "\n"))
		}
		fmt.Fprintf(&b, "%s\n~~~\n", g.text)
	}
	b.WriteString("\n## Notices\n")
	for _, m := range mods {
		if m.notice != "" {
			fmt.Fprintf(&b, "\n### %s\n\n~~~\n%s\n~~~\n", m.path, strings.Trim(m.notice, "\n"))
		}
	}
	return b.Bytes()
}
