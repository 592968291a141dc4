package admin

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Lifetimes of client certificates that the cluster signs.
const (
	clientLife     = 30 * 24 * time.Hour
	clientLifeMost = 366 * 24 * time.Hour
)

// ListCertificates implements adminpb.AdminHandler: the CAs, the nodes' own, and
// those of clients that the cluster has issued or revoked.
func (s *service) ListCertificates(ctx context.Context, r *adminpb.ListCertificatesRequest) (*adminpb.ListCertificatesResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ListCertificatesResponse{AsOf: look.asOf(), Rotation: look.caRotation(), Roots: []byte(look.View.Roots())}
	roots, err := auth.ParseCerts([]byte(look.View.Roots()))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's roots: %w", err)
	}
	for _, c := range roots {
		p := certProto(c, "ca", look.At)
		p.TrustedBy = nodeIDs(look.reporting(func(k *cluster.KeyStatus) bool { return slices.Contains(k.Trusts, p.GetFingerprint()) }))
		p.KeyOn = nodeIDs(look.reporting(func(k *cluster.KeyStatus) bool { return k.Signs == p.GetFingerprint() }))
		out.Certificates = append(out.Certificates, p)
	}
	for _, n := range look.members() {
		if st := look.Statuses[n.ID]; st != nil {
			out.Certificates = append(out.Certificates, nodeCertProto(n.ID, &st.Keys, look.At))
		}
	}
	for _, serial := range sortedKeys(look.View.Certificates) {
		c := look.View.Certificates[serial]
		out.Certificates = append(out.Certificates, &adminpb.Certificate{
			Subject: c.User, Kind: "client", Serial: serial, NotBefore: timestamp(c.IssuedAt), NotAfter: timestamp(c.ExpiresAt),
			Revoked: !c.RevokedAt.IsZero(), DaysLeft: daysLeft(c.ExpiresAt, look.At), Fingerprint: fmt.Sprintf("%x", c.KeyHash),
		})
	}
	return out, nil
}

func certProto(c *x509.Certificate, kind string, now time.Time) *adminpb.Certificate {
	return &adminpb.Certificate{
		Subject: c.Subject.CommonName, Kind: kind, Serial: c.SerialNumber.Text(16), NotBefore: timestamppb.New(c.NotBefore),
		NotAfter: timestamppb.New(c.NotAfter), Issuer: c.Issuer.CommonName, Fingerprint: auth.Fingerprint(c), DaysLeft: daysLeft(c.NotAfter, now),
	}
}

func nodeCertProto(id cluster.NodeID, k *cluster.KeyStatus, now time.Time) *adminpb.Certificate {
	return &adminpb.Certificate{
		Subject: auth.ServerName(id), Kind: "node", Node: uint32(id), Serial: k.Serial, NotBefore: timestamp(k.NotBefore),
		NotAfter: timestamp(k.NotAfter), Issuer: k.Issuer, Fingerprint: k.Key, DaysLeft: daysLeft(k.NotAfter, now),
	}
}

func daysLeft(end, now time.Time) float64 {
	if end.IsZero() {
		return 0
	}
	return math.Round(end.Sub(now).Hours()/24*10) / 10
}

// reporting lists the members whose report satisfies ok.
func (s *sight) reporting(ok func(*cluster.KeyStatus) bool) []cluster.NodeID {
	var ids []cluster.NodeID
	for _, n := range s.members() {
		if st := s.Statuses[n.ID]; st != nil && ok(&st.Keys) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// without lists the members that are not among ids: a node that does not answer
// has acknowledged nothing.
func (s *sight) without(ids []cluster.NodeID) []cluster.NodeID {
	var rest []cluster.NodeID
	for _, n := range s.members() {
		if !slices.Contains(ids, n.ID) {
			rest = append(rest, n.ID)
		}
	}
	return rest
}

// IssueCertificate implements adminpb.AdminHandler. The record comes first: what
// is signed is in the audit.
func (s *service) IssueCertificate(ctx context.Context, r *adminpb.IssueCertificateRequest) (*adminpb.IssueCertificateResponse, error) {
	block, _ := pem.Decode(r.GetCsr())
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, &Error{Kind: KindInvalid, Message: "csr must be a PEM certificate request"}
	}
	_, hash, err := auth.CSRKey(block.Bytes)
	if err != nil {
		return nil, &Error{Kind: KindInvalid, Message: err.Error()}
	}
	d, err := life(r.GetTtl(), clientLife, clientLifeMost)
	if err != nil {
		return nil, err
	}
	if r.GetUser() == "" || len(r.GetUser()) > 63 || strings.ContainsAny(r.GetUser(), "/\x00") {
		return nil, &Error{Kind: KindInvalid, Message: "user must be a name that can stand in a certificate"}
	}
	serial, err := auth.NewSerial()
	if err != nil {
		return nil, err
	}
	role := ""
	if want := roleOf(r.GetRole()); want != auth.RoleNone {
		role = want.String()
	}
	_, err = s.propose(ctx, metastate.Command{IssueCertificate: &metastate.IssueCertificate{
		Serial: serial, User: r.GetUser(), KeyHash: hash[:], ExpiresAt: time.Now().Add(d).UTC().Truncate(time.Second), AdminRole: role,
	}})
	if err != nil {
		return nil, err
	}
	text, err := s.backend.SignClient(ctx, serial, block.Bytes)
	if err != nil {
		return nil, err
	}
	certs, err := auth.ParseCerts(text)
	if err != nil {
		return nil, fmt.Errorf("read the signed certificate: %w", err)
	}
	return &adminpb.IssueCertificateResponse{Certificate: text, Shown: certProto(certs[0], "client", time.Now())}, nil
}

// RevokeCertificate implements adminpb.AdminHandler.
func (s *service) RevokeCertificate(ctx context.Context, r *adminpb.RevokeCertificateRequest) (*adminpb.RevokeCertificateResponse, error) {
	serial := strings.ToLower(strings.TrimLeft(strings.ReplaceAll(r.GetSerial(), ":", ""), "0"))
	if serial == "" || strings.Trim(serial, "0123456789abcdef") != "" || len(serial) > 40 {
		return nil, &Error{Kind: KindInvalid, Message: "serial must be the hexadecimal serial number of a certificate"}
	}
	if _, err := s.propose(ctx, metastate.Command{RevokeCertificate: &metastate.RevokeCertificate{Serial: serial, Reason: r.GetReason()}}); err != nil {
		return nil, err
	}
	return &adminpb.RevokeCertificateResponse{}, nil
}

// RenewCertificate implements adminpb.AdminHandler.
func (s *service) RenewCertificate(ctx context.Context, r *adminpb.RenewCertificateRequest) (*adminpb.RenewCertificateResponse, error) {
	ids, err := s.known([]uint32{r.GetNode()})
	if err != nil {
		return nil, err
	}
	keys, err := s.backend.RenewNode(ctx, ids[0])
	if err != nil {
		return nil, err
	}
	return &adminpb.RenewCertificateResponse{Certificate: nodeCertProto(ids[0], &keys, time.Now())}, nil
}

// MoveCAKey implements adminpb.AdminHandler. The record comes first: the nodes
// move the key under it only, and it stays in the audit whatever happens then. A
// move that was cut short left the key on both, and is ended by another one.
func (s *service) MoveCAKey(ctx context.Context, r *adminpb.MoveCAKeyRequest) (*adminpb.MoveCAKeyResponse, error) {
	ids, err := s.known([]uint32{r.GetTo()})
	if err != nil {
		return nil, err
	}
	to := ids[0]
	look, err := s.look(ctx, 0)
	if err != nil {
		return nil, err
	}
	holders := look.reporting(func(k *cluster.KeyStatus) bool { return k.Signs != "" })
	others := slices.DeleteFunc(slices.Clone(holders), func(id cluster.NodeID) bool { return id == to })
	switch {
	case len(others) == 0 && len(holders) > 0:
		return &adminpb.MoveCAKeyResponse{From: uint32(to), To: uint32(to)}, nil
	case len(holders) == 0:
		return nil, &Error{Kind: KindUnavailable, Message: "no node that answers holds the CA's key: start the node that does, or put certs/ca.key (mode 0600) there by hand"}
	}
	from := others[0]
	res, err := s.propose(ctx, metastate.Command{MoveCAKey: &metastate.MoveCAKey{From: from, To: to, Reason: r.GetReason()}})
	if err != nil {
		return nil, err
	}
	if err := s.backend.MoveCAKey(ctx, res.Index, from, to); err != nil {
		return nil, err
	}
	return &adminpb.MoveCAKeyResponse{From: uint32(from), To: uint32(to)}, nil
}
