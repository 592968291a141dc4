package main

import (
	"slices"
	"strings"
	"testing"
)

const (
	mit  = "Permission is hereby granted, free of charge, to any person\nobtaining a copy\n"
	bsd2 = "Redistribution and use in source and\nbinary forms, with or without\n"
)

func TestClassify(t *testing.T) {
	for text, want := range map[string][]string{
		mit: {"MIT"},
		"Mozilla Public License, version 2.0\n\n1. Definitions\n": {"MPL-2.0"},
		"   Apache License\n  Version 2.0, January 2004\n" + mit:  {"Apache-2.0", "MIT"},
		bsd2: {"BSD-2-Clause"},
		bsd2 + "* Neither the name of Google Inc. nor\nthe names of its contributors may be used to endorse or promote": {"BSD-3-Clause"},
		"All rights reserved. Ask us.": {},
	} {
		if got := classify(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestReadRefuses wants a module without a licence that is known to stop the
// generator: somebody has to read it first.
func TestReadRefuses(t *testing.T) {
	if _, err := read("example.org/odd", "v1.0.0", t.TempDir()); err == nil || !strings.Contains(err.Error(), "example.org/odd") {
		t.Errorf("got %v", err)
	}
}

// TestPage wants every module and every holder named, and one text once.
func TestPage(t *testing.T) {
	page := string(page([]module{
		{path: "a.org/a", version: "v1", licences: []string{"MIT"}, texts: []string{"MIT License\n\nCopyright (c) 2020 Ann\n\n" + mit}, notice: "made by Ann\n"},
		{path: "b.org/b", version: "v2", licences: []string{"MIT"}, texts: []string{"The MIT License (MIT)\n\nCopyright 2021 Bob\n\n" + strings.Join(strings.Fields(mit), " ")}},
		{path: "c.org/c", version: "v3", licences: []string{"MPL-2.0"}, texts: []string{"Mozilla Public License, version 2.0\n"}},
	}))
	for _, want := range []string{"| a.org/a | v1 | MIT |", "| b.org/b | v2 | MIT |", "- c.org/c v3\n", "Of a.org/a, b.org/b.", "Copyright (c) 2020 Ann", "Copyright 2021 Bob", "made by Ann"} {
		if strings.Count(page, want) != 1 {
			t.Errorf("%q is there %d times in\n%s", want, strings.Count(page, want), page)
		}
	}
	if n := strings.Count(page, "free of charge"); n != 1 {
		t.Errorf("the same text is there %d times", n)
	}
}
