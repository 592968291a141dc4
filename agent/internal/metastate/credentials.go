package metastate

import (
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Steps of a rotation of the CA, and of the gossip key.
const (
	StepStage    = "stage"    // the new one is known to all, and used by none
	StepActivate = "activate" // the new one is used, the old one still accepted
	StepFinalize = "finalize" // the old one is gone
	StepAbort    = "abort"    // of what was staged
)

// States of a rotation, between its steps.
const (
	RotationStaged = "staged"
	RotationActive = "active"
)

// maxCertificates bounds the client certificates that are remembered.
const maxCertificates = 10000

// Certificate is a client certificate that the cluster issued, or one that was
// revoked.
type Certificate struct {
	Serial    string    `json:"serial"` // hexadecimal
	User      string    `json:"user,omitempty"`
	KeyHash   []byte    `json:"keyHash,omitempty"` // SHA-256 of the public key
	IssuedAt  time.Time `json:"issuedAt,omitzero"`
	IssuedBy  string    `json:"issuedBy,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	RevokedAt time.Time `json:"revokedAt,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// Rotation is how far the change of a CA or of the gossip key has come.
type Rotation struct {
	State string `json:"state"` // staged | active
	// Next is the new CA's certificate (PEM), or the new gossip key's fingerprint:
	// never the key.
	Next string `json:"next"`
}

// IssueCertificate records a client certificate before it is signed. A user that
// does not exist is made if a role is given.
type IssueCertificate struct {
	Serial    string    `json:"serial"`
	User      string    `json:"user"`
	KeyHash   []byte    `json:"keyHash"`
	ExpiresAt time.Time `json:"expiresAt"`
	AdminRole string    `json:"adminRole,omitempty"`
}

// RevokeCertificate ends a client certificate, also one that was made offline.
type RevokeCertificate struct {
	Serial string `json:"serial"`
	Reason string `json:"reason,omitempty"`
}

// RotateCA goes a step of the rotation of the cluster's CA. Whether the nodes are
// ready for it is the gateway's question: the meta range knows no reports.
type RotateCA struct {
	Step   string `json:"step"`
	Next   string `json:"next,omitempty"` // PEM, of stage
	Reason string `json:"reason,omitempty"`
}

// RotateGossip goes a step of the rotation of the gossip key.
type RotateGossip struct {
	Step   string `json:"step"`
	Next   string `json:"next,omitempty"` // fingerprint, of stage
	Reason string `json:"reason,omitempty"`
}

// Revoked reports whether the certificate with the serial was revoked.
func (v *View) Revoked(serial string) bool {
	c := v.Certificates[serial]
	return c != nil && !c.RevokedAt.IsZero()
}

// Roots are the CA certificates that nodes trust, PEM.
func (v *View) Roots() string {
	if v.CARotation != nil {
		return v.CACert + v.CARotation.Next
	}
	return v.CACert
}

// SigningCA is the CA certificate that signs now, PEM.
func (v *View) SigningCA() string {
	if v.CARotation != nil && v.CARotation.State == RotationActive {
		return v.CARotation.Next
	}
	return v.CACert
}

func (c *change) issueCertificate(in *IssueCertificate, by string) Result {
	u, known := c.view.Users[in.User]
	switch {
	case in.Serial == "" || len(in.KeyHash) == 0 || !c.now.Before(in.ExpiresAt):
		return refused(CodeInvalid, "a certificate needs a serial, a key and an expiry in the future")
	case c.view.Certificates[in.Serial] != nil:
		return refused(CodeExists, "certificate %s already exists", in.Serial)
	case !known && in.AdminRole == "":
		return refused(CodeNotFound, "there is no user %q: CREATE USER makes one, and so does a certificate with a role", in.User)
	case known && in.AdminRole != "" && in.AdminRole != u.AdminRole:
		return refused(CodeConflict, "user %q has another role: GRANT and REVOKE change it", in.User)
	case len(c.view.Certificates) >= maxCertificates && !c.forgetExpired():
		return refused(CodeLimit, "%d certificates are remembered: revoke or wait until some expire", maxCertificates)
	}
	if !known {
		if res := c.changeUser(&ChangeUser{Name: in.User, Create: true, AdminRole: &in.AdminRole}); res.Refusal != nil {
			return res
		}
	}
	c.putCertificate(Certificate{
		Serial: in.Serial, User: in.User, KeyHash: in.KeyHash, IssuedAt: c.now, IssuedBy: by, ExpiresAt: in.ExpiresAt.UTC(),
	})
	c.event(cluster.Event{Kind: cluster.EventCertificateIssued, Text: fmt.Sprintf("a certificate of %s was issued", in.User), Data: map[string]string{"serial": in.Serial}})
	return Result{}
}

func (c *change) putCertificate(cert Certificate) {
	own(c, &c.view.Certificates)[cert.Serial] = stage(c, kindCertificate, []byte(cert.Serial), &cert)
}

// forgetExpired drops certificates that have expired: nobody gets in with them, revoked
// or not.
func (c *change) forgetExpired() bool {
	var serials []string
	for _, serial := range sortedKeys(c.view.Certificates) {
		if !firstPast(c.now, c.view.Certificates[serial].ExpiresAt).IsZero() {
			serials = append(serials, serial)
		}
	}
	c.forgetCertificates(serials)
	return len(serials) > 0
}

func (c *change) revokeCertificate(in *RevokeCertificate) Result {
	if in.Serial == "" || len(in.Serial) > 64 {
		return refused(CodeInvalid, "the serial of a certificate is missing or malformed")
	}
	cert := Certificate{Serial: in.Serial}
	if old := c.view.Certificates[in.Serial]; old != nil {
		if !old.RevokedAt.IsZero() {
			return Result{Existed: true}
		}
		cert = *old
	}
	cert.RevokedAt, cert.Reason = c.now, in.Reason
	c.putCertificate(cert)
	c.event(cluster.Event{Kind: cluster.EventCertificateRevoked, Severity: cluster.SeverityWarn, Text: fmt.Sprintf("certificate %s was revoked", in.Serial)})
	return Result{}
}

func (c *change) rotateCA(in *RotateCA) Result {
	next, refusal := rotate(c.view.CARotation, in.Step, in.Next, "CA")
	if refusal != nil {
		return Result{Refusal: refusal}
	}
	if in.Step == StepFinalize {
		c.view.CACert = c.view.CARotation.Next
	}
	c.view.CAKeyMove = nil // it was of the CA as it was before
	c.view.CARotation, c.heads = next, true
	c.event(cluster.Event{Kind: cluster.EventCARotated, Text: "rotation of the CA: " + in.Step})
	return Result{}
}

func (c *change) rotateGossip(in *RotateGossip) Result {
	next, refusal := rotate(c.view.GossipRotation, in.Step, in.Next, "gossip key")
	if refusal != nil {
		return Result{Refusal: refusal}
	}
	if in.Step == StepFinalize {
		c.view.GossipKey = c.view.GossipRotation.Next
	}
	c.view.GossipRotation, c.heads = next, true
	c.event(cluster.Event{Kind: cluster.EventGossipKeyRotated, Text: "rotation of the gossip key: " + in.Step})
	return Result{}
}

// rotate is where a step leads from r.
func rotate(r *Rotation, step, next, what string) (*Rotation, *Refusal) {
	switch {
	case step == StepStage && r == nil && next != "":
		return &Rotation{State: RotationStaged, Next: next}, nil
	case step == StepStage && r != nil:
		return nil, refuse(CodeConflict, "a rotation of the %s is %s already", what, r.State)
	case step == StepActivate && r != nil && r.State == RotationStaged:
		return &Rotation{State: RotationActive, Next: r.Next}, nil
	case step == StepFinalize && r != nil && r.State == RotationActive, step == StepAbort && r != nil && r.State == RotationStaged:
		return nil, nil
	case r == nil:
		return nil, refuse(CodeConflict, "no rotation of the %s is under way: stage begins one", what)
	}
	return nil, refuse(CodeConflict, "the rotation of the %s is %s: %q is not the next step", what, r.State, step)
}
