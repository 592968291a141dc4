package api

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/client"
)

// curl is r as a command line for curl. The token stays in its file: the shell
// reads it when the line is run, and it reaches curl on stdin, not in argv.
func curl(cx *client.Context, r *request, data string) string {
	var pre string
	args := []string{"curl", "--silent", "--show-error", "--fail-with-body"}
	if cx.CA != "" {
		args = append(args, "--cacert", quote(cx.CA))
	}
	if cx.Cert != "" {
		args = append(args, "--cert", quote(cx.Cert), "--key", quote(cx.Key))
	}
	if cx.TokenFile != "" {
		pre = fmt.Sprintf(`printf 'Authorization: Bearer %%s' "$(cat %s)" | `, quote(cx.TokenFile))
		args = append(args, "--header", "@-")
	}
	if r.method != "GET" {
		args = append(args, "--request", r.method)
	}
	for _, k := range []string{"Content-Type", "Accept"} {
		if v := r.header.Get(k); v != "" {
			args = append(args, "--header", quote(k+": "+v))
		}
	}
	if r.method == "POST" {
		body := r.body
		if strings.HasPrefix(data, "@") && data != "@-" {
			body = data
		}
		args = append(args, "--data-binary", quote(body))
	}
	addr := "ADDRESS"
	if len(cx.Addrs) > 0 {
		addr = cx.Addrs[0]
	}
	return pre + strings.Join(append(args, quote("https://"+addr+r.path)), " ")
}

// quote makes s one word of a POSIX shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./-_", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
