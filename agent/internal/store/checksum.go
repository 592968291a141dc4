package store

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// Checksum satisfies replica.Output.
func (c *Core) Checksum(j *replica.ChecksumJob) { c.sumJobs = append(c.sumJobs, j) }

// TakeChecksums hands out the replicas that are to be read for a comparison.
func (c *Core) TakeChecksums() []*replica.ChecksumJob {
	js := c.sumJobs
	c.sumJobs = nil
	return js
}

// Checksummed ends a job that TakeChecksums handed out.
func (c *Core) Checksummed(j *replica.ChecksumJob, sum cluster.Checksum, err error) {
	j.Replica().Checksummed(j, sum, err)
	if s, ok := c.slots[j.Range]; ok {
		c.mark(s)
	}
}

// Verify has every replica of a range that is led here read what it holds; done gets
// the entry at which.
func (c *Core) Verify(id cluster.RangeID, done func(replica.Outcome)) {
	s, err := c.slot(id)
	if err == nil {
		err = c.roomFor(s, false)
	}
	if err != nil {
		done(replica.Outcome{Err: err})
		return
	}
	s.r.Verify(done)
}

// checksum carries out one job: one replica of the node is read at a time.
func (s *Store) checksum(ctx context.Context, j *replica.ChecksumJob) {
	defer j.Drop()
	select {
	case s.summing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.summing }()
	sum, err := j.Sum(func(bytes int64) error { return s.sumRate.wait(ctx, int(bytes)) })
	_ = s.inbox.complete(func(c *Core) { c.Checksummed(j, sum, err) }) // a stopped store does not care
}

// Verify has every replica of a range that this node leads read what it holds at one
// entry of the log, of which it returns the index: the statuses of the replicas tell
// what each found.
func (s *Store) Verify(ctx context.Context, id cluster.RangeID) (index uint64, err error) {
	o, err := request(ctx, s, func(c *Core, done func(replica.Outcome, error)) {
		c.Verify(id, func(o replica.Outcome) { done(o, o.Err) })
	})
	return o.Index, err
}
