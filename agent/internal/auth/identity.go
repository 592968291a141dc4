package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Identity is who a certificate stands for: a node or a user of one cluster.
type Identity struct {
	Cluster string
	Node    cluster.NodeID // 0: a user
	User    string         // "": a node
	Serial  string         // hexadecimal
}

// String names the identity in messages: "node n4" or `user "ann"`.
func (id Identity) String() string {
	if id.Node != 0 {
		return "node " + id.Node.String()
	}
	return fmt.Sprintf("user %q", id.User)
}

const scheme = "nodedb"

func nodeURI(clusterID string, id cluster.NodeID) *url.URL {
	return &url.URL{Scheme: scheme, Host: clusterID, Path: "/node/" + strconv.FormatUint(uint64(id), 10)}
}

func userURI(clusterID, user string) *url.URL {
	return &url.URL{Scheme: scheme, Host: clusterID, Path: "/user/" + user}
}

// ServerName is the name that a dialler of node id expects in its certificate.
func ServerName(id cluster.NodeID) string {
	return "node." + strconv.FormatUint(uint64(id), 10)
}

// CertIdentity reads the identity of a certificate from its URI SAN. It does
// not verify the certificate.
func CertIdentity(cert *x509.Certificate) (Identity, error) {
	var found []Identity
	for _, u := range cert.URIs {
		if u.Scheme != scheme {
			continue
		}
		id, err := parseURI(u)
		if err != nil {
			return Identity{}, err
		}
		found = append(found, id)
	}
	if len(found) != 1 {
		return Identity{}, fmt.Errorf("certificate has %d nodedb:// names, not one", len(found))
	}
	found[0].Serial = fmt.Sprintf("%x", cert.SerialNumber)
	return found[0], nil
}

var errURI = errors.New("certificate has a nodedb:// name of no known form")

func parseURI(u *url.URL) (Identity, error) {
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return Identity{}, errURI
	}
	kind, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !ok || name == "" {
		return Identity{}, errURI
	}
	switch kind {
	case "node":
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != name {
			return Identity{}, errURI
		}
		return Identity{Cluster: u.Host, Node: cluster.NodeID(n)}, nil
	case "user":
		return Identity{Cluster: u.Host, User: name}, nil
	}
	return Identity{}, errURI
}
