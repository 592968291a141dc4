package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Certificate is one certificate: of a CA, a node or a client.
type Certificate struct {
	Subject     string     `json:"subject"`
	Kind        string     `json:"kind"`
	Node        uint32     `json:"node"`
	Serial      string     `json:"serial"`
	NotBefore   *time.Time `json:"notBefore"`
	NotAfter    *time.Time `json:"notAfter"`
	DaysLeft    float64    `json:"daysLeft"`
	Issuer      string     `json:"issuer"`
	Fingerprint string     `json:"fingerprint"`
	Revoked     bool       `json:"revoked"`
	TrustedBy   []uint32   `json:"trustedBy"`
	KeyOn       []uint32   `json:"keyOn"` // of a CA: the nodes that hold its key
}

// NewCertificate makes a view.
func NewCertificate(c *adminpb.Certificate) Certificate {
	v := Certificate{
		Subject: c.GetSubject(), Kind: c.GetKind(), Node: c.GetNode(), Serial: c.GetSerial(), NotBefore: moment(c.GetNotBefore()),
		NotAfter: moment(c.GetNotAfter()), DaysLeft: c.GetDaysLeft(), Issuer: c.GetIssuer(), Fingerprint: c.GetFingerprint(),
		Revoked: c.GetRevoked(), TrustedBy: c.GetTrustedBy(), KeyOn: c.GetKeyOn(),
	}
	if v.KeyOn == nil {
		v.KeyOn = []uint32{}
	}
	if v.TrustedBy == nil {
		v.TrustedBy = []uint32{}
	}
	return v
}

// Rotation is how far a rotation of the CA or of the gossip key has come.
type Rotation struct {
	Of      string   `json:"of"`   // ca | gossip-key
	Step    string   `json:"step"` // none | staged | active
	Next    string   `json:"next"`
	Ready   []uint32 `json:"ready"`
	Waiting []uint32 `json:"waiting"`
}

// NewRotation makes a view.
func NewRotation(of, step, next string, ready, waiting []uint32) Rotation {
	if ready == nil {
		ready = []uint32{}
	}
	if waiting == nil {
		waiting = []uint32{}
	}
	return Rotation{Of: of, Step: step, Next: next, Ready: ready, Waiting: waiting}
}
