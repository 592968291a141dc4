package ctl

import (
	"fmt"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"status", "nodes", "node-timeout", "test", "prod"}
	for word, want := range map[string]string{
		"ndoes": "[nodes]", "node": "[nodes node-timeout]", "STATUS": "[status]", "prd": "[prod]", "x": "[]", "": "[]", "kubernetes": "[]",
	} {
		if got := fmt.Sprint(Nearest(word, words)); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}
