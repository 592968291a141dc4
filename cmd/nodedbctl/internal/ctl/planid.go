package ctl

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// The id of an instant change's plan is made as a node makes those of operations:
// a part for the cluster, one for what is asked with all options, one for the
// effects, each depending on those before it, and digits that check the others.
const (
	idCluster = 3
	idAsked   = 4
	idEffects = 5
	idCheck   = 2
	idDigits  = idCluster + idAsked + idEffects + idCheck
)

func instantID(cluster string, asked, effects []string) string {
	all := digest(cluster, idCluster) + digest([]any{cluster, asked}, idAsked) + digest([]any{cluster, asked, effects}, idEffects)
	return "pl-" + all + digest(all, idCheck)
}

func digest(v any, digits int) string {
	text, err := json.Marshal(v)
	if err != nil { // strings always marshal
		return strings.Repeat("0", digits)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:digits]
}

// notNow says why id is not the plan called now, of command.
func notNow(id, now, command, cluster string) *Error {
	e := &Error{Code: Conflict, Next: []string{command}}
	a, isPlan := strings.CutPrefix(id, "pl-")
	b := strings.TrimPrefix(now, "pl-")
	const cut = idDigits - idCheck
	switch {
	case !isPlan || len(a) != idDigits || a[cut:] != digest(a[:cut], idCheck):
		e.Code, e.Message = NotFound, "there is no plan "+id+": what would be done now is "+now
	case a[:idCluster] != b[:idCluster]:
		e.Message = "plan " + id + " is of another cluster, not of " + cluster
	case a[:idCluster+idAsked] != b[:idCluster+idAsked]:
		e.Message = "plan " + id + " was made for something else, or with other options, than is asked now"
	default:
		e.Message = "plan " + id + " is out of date: the cluster has changed, the plan is " + now + " now"
	}
	return e
}
