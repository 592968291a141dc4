package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// resetTimeout bounds the search for a node that answers, resetEvery is between
// two rounds of it, resetCall bounds one question.
const (
	resetTimeout = 30 * time.Second
	resetEvery   = 500 * time.Millisecond
	resetCall    = 10 * time.Second
)

// ResetResult is what a reset did.
type ResetResult struct {
	Identity Identity
	Lost     int // replicas that went with the store
}

// Reset empties the store of a node that does not run and lost what it had
// synced. The node keeps its identity; the cluster records that all its replicas
// are lost, and refuses if a range would lose its quorum by that. After an error
// nothing has changed here, and Reset may be repeated.
func Reset(ctx context.Context, dir string) (ResetResult, error) {
	id, err := LoadIdentity(dir)
	if err != nil {
		return ResetResult{}, err
	}
	if err := refuseDecommissioned(dir, id); err != nil {
		return ResetResult{}, err
	}
	lock, err := lockDir(dir, 0)
	if err != nil {
		return ResetResult{}, err
	}
	defer lock.release()
	certs, err := auth.OpenSource(certsPath(dir))
	if err != nil {
		return ResetResult{}, &ExitError{Code: ExitIdentity, Message: "certificates of this node", Err: err}
	}
	answer, err := (&resetting{dir: dir, id: id, certs: certs}).ask(ctx)
	if err != nil {
		return ResetResult{}, err
	}
	if err := emptyStore(dir, id, answer); err != nil {
		return ResetResult{}, &ExitError{Code: ExitDataDir, Message: "empty the store (run nodedb-agent reset again)", Err: err}
	}
	return ResetResult{Identity: id, Lost: len(answer.Lost)}, nil
}

type resetting struct {
	dir   string
	id    Identity
	certs *auth.Source
}

// ask asks one member after the other until one of them knows.
func (r *resetting) ask(ctx context.Context) (*resetAnswer, error) {
	book, err := openPeerBook(r.dir)
	if err != nil {
		return nil, err
	}
	peers := book.mu.stored
	if len(peers) == 0 {
		return nil, &ExitError{Code: ExitUnreachable, Message: fmt.Sprintf("%s knows of no other node that could say what %s held: if it is the only node of its cluster, what its store lost is lost", r.id.Node, r.id.Node)}
	}
	ctx, cancel := context.WithTimeout(ctx, resetTimeout)
	defer cancel()
	tick := time.NewTicker(resetEvery)
	defer tick.Stop()
	var failed []error // of the last round that was not cut short
	for {
		var round []error
		for _, p := range peers {
			answer, err := r.askPeer(ctx, p)
			switch {
			case err != nil:
				round = append(round, fmt.Errorf("%s at %s: %w", p.Node, p.Admin, err))
			case answer.Refused == "":
				return answer, nil
			case !answer.Again:
				return nil, r.refused(answer.Refused)
			default:
				round = append(round, fmt.Errorf("%s: %s", p.Node, answer.Refused))
			}
		}
		if ctx.Err() == nil || failed == nil {
			failed = round
		}
		select {
		case <-ctx.Done():
			return nil, &ExitError{Code: ExitUnreachable, Message: "no other node can say that this store may be emptied; nothing was changed", Err: errors.Join(failed...)}
		case <-tick.C:
		}
	}
}

func (r *resetting) refused(why string) error {
	return &ExitError{Code: ExitStoreLost, Message: fmt.Sprintf("the cluster refuses to have the store of %s emptied, and nothing was changed: %s", r.id.Node, why)}
}

func (r *resetting) askPeer(ctx context.Context, p PeerAddress) (*resetAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, resetCall)
	defer cancel()
	body, err := json.Marshal(resetRequest{UUID: r.id.UUID})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.Admin+"/reset", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	conf := r.certs.ClientConfig(p.Node)
	conf.NextProtos = []string{"http/1.1"}
	resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, errors.Unwrap(err) // without the URL
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var no joinRefusal
		if json.Unmarshal(b, &no) != nil || no.Error == "" {
			no.Error = resp.Status
		}
		return nil, errors.New(no.Error)
	}
	answer := &resetAnswer{}
	if err := json.Unmarshal(b, answer); err != nil {
		return nil, fmt.Errorf("its answer is damaged: %w", err)
	}
	return answer, nil
}

func freshStorePath(dir string) string { return storePath(dir) + ".new" }
func lostStorePath(dir string) string  { return storePath(dir) + ".lost" }

// emptyStore puts a store in the place of the old one that holds nothing but whose
// it is and what must not come back. A crash leaves the old one, none, or the new
// one: without a store the node does not start, and says to reset again.
func emptyStore(dir string, id Identity, answer *resetAnswer) error {
	if err := errors.Join(os.RemoveAll(freshStorePath(dir)), os.RemoveAll(lostStorePath(dir))); err != nil {
		return err
	}
	if err := writeFreshStore(freshStorePath(dir), id, answer); err != nil {
		return err
	}
	// The node has no copy of the meta range to find the others by.
	if err := savePeers(dir, answer.Peers); err != nil {
		return err
	}
	if err := os.Rename(storePath(dir), lostStorePath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(freshStorePath(dir), storePath(dir)); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	return os.RemoveAll(lostStorePath(dir))
}

func writeFreshStore(path string, id Identity, answer *resetAnswer) error {
	engine, err := storage.Open(storage.Options{Dir: path})
	if err != nil {
		return err
	}
	ident, err := json.Marshal(storeIdent{Format: identityFormat, ClusterID: id.ClusterID, Node: id.Node, UUID: id.UUID})
	if err != nil {
		return errors.Join(err, engine.Close())
	}
	var lost []store.Emptied
	for _, l := range answer.Lost {
		lost = append(lost, store.Emptied(l))
	}
	b := engine.NewBatch()
	err = errors.Join(store.WriteEmptied(b, answer.Generation, lost), b.Set(keys.StoreIdent(), ident))
	if err == nil {
		err = b.Commit(true)
	}
	return errors.Join(err, b.Close(), engine.Close())
}
