package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

const methodGossipKey = "gossip.key"

// gossipKeys are the keys in force; the first one encrypts.
func (n *Node) gossipKeys() [][]byte {
	if n.gossip == nil {
		return n.keys
	}
	return n.gossip.Keys()
}

func (n *Node) gossipKey(fingerprint string) []byte {
	keys := n.gossipKeys()
	if i := slices.IndexFunc(keys, func(k []byte) bool { return gossip.Fingerprint(k) == fingerprint }); i >= 0 {
		return keys[i]
	}
	return nil
}

// newGossipKey makes the key that is to come, here; the others fetch it when the
// meta range has its fingerprint. The key itself is never there.
func (n *Node) newGossipKey() (fingerprint string, err error) {
	key := gossip.NewKey()
	n.keeper.await(gossip.Fingerprint(key))
	if err := n.gossip.AddKey(key); err != nil {
		return "", err
	}
	return gossip.Fingerprint(key), n.saveGossipKeys()
}

func (n *Node) saveGossipKeys() error {
	if err := writeFileSync(gossipKeyPath(n.cfg.DataDir), gossip.EncodeKeys(n.gossipKeys())); err != nil {
		return fmt.Errorf("save the gossip keys: %w", err)
	}
	return nil
}

// tellGossipKey gives another node the key with a fingerprint.
func (n *Node) tellGossipKey(payload []byte) ([]byte, error) {
	var fingerprint string
	if err := json.Unmarshal(payload, &fingerprint); err != nil {
		return nil, err
	}
	key := n.gossipKey(fingerprint)
	if key == nil {
		return nil, errors.New("this node does not have that key")
	}
	return key, nil
}

// keepGossipKeys brings the keyring to what the meta range says: the key that is
// to come is known, then used, and at last the only one.
func (n *Node) keepGossipKeys(ctx context.Context, v *metastate.View) {
	before := n.gossipKeys()
	var err error
	switch r := v.GossipRotation; {
	case r != nil:
		err = n.takeGossipKey(ctx, r)
	case v.GossipKey != "" && n.gossipKey(v.GossipKey) != nil:
		err = n.onlyGossipKey(v.GossipKey)
	case v.GossipKey != "":
		err = n.takeGossipKey(ctx, &metastate.Rotation{State: metastate.RotationActive, Next: v.GossipKey})
	}
	if err != nil {
		n.logger.Warn("the gossip keys are not what they should be yet", logattr.Err(err))
	}
	if now := n.gossipKeys(); !slices.EqualFunc(before, now, bytes.Equal) {
		n.logger.Info("gossip keys changed", logattr.From(fingerprints(before)), logattr.To(fingerprints(now)))
		if err := n.saveGossipKeys(); err != nil {
			n.logger.Error("gossip keys are not on disk", logattr.Err(err))
		}
	}
}

func fingerprints(keys [][]byte) string {
	out := ""
	for _, k := range keys {
		out += " " + gossip.Fingerprint(k)
	}
	return out[min(1, len(out)):]
}

// takeGossipKey fetches the key of a rotation if this node does not have it, and
// uses it once all nodes have it.
func (n *Node) takeGossipKey(ctx context.Context, r *metastate.Rotation) error {
	key := n.gossipKey(r.Next)
	if key == nil {
		payload, err := json.Marshal(r.Next)
		if err != nil {
			return err
		}
		for _, id := range n.others() {
			b, err := n.callNode(ctx, id, methodGossipKey, payload)
			if err == nil && gossip.Fingerprint(b) == r.Next {
				key = b
				break
			}
		}
		if key == nil {
			return fmt.Errorf("no node that answers has the key %s", r.Next)
		}
		if err := n.gossip.AddKey(key); err != nil {
			return err
		}
	}
	n.keeper.await("")
	if r.State != metastate.RotationActive || bytes.Equal(n.gossipKeys()[0], key) {
		return nil
	}
	return n.gossip.UseKey(key)
}

// onlyGossipKey forgets all keys but one.
func (n *Node) onlyGossipKey(fingerprint string) error {
	key := n.gossipKey(fingerprint)
	if !bytes.Equal(n.gossipKeys()[0], key) {
		if err := n.gossip.UseKey(key); err != nil {
			return err
		}
	}
	var errs []error
	for _, k := range n.gossipKeys() {
		if !bytes.Equal(k, key) && !n.keeper.awaits(gossip.Fingerprint(k)) {
			errs = append(errs, n.gossip.RemoveKey(k))
		}
	}
	return errors.Join(errs...)
}
