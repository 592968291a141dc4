package page

import "github.com/nodedb/nodedb/client"

// refusal says why the cluster did not answer a question.
func refusal(err error) string {
	e := client.AsError(err)
	if e.Unserved() {
		return "not served by this node: it runs a version without this call"
	}
	return e.Message
}
