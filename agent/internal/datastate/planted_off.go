//go:build !planted

package datastate

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Planted are faults that the tag "planted" lets tests plant. Here it is empty.
type Planted struct{}

func (Planted) fenceOpen() bool                   { return false }
func (Planted) fenceKept() bool                   { return false }
func (Planted) staleTaken() bool                  { return false }
func (Planted) oldLeft() bool                     { return false }
func (Planted) clearsOther() cluster.CollectionID { return 0 }

func (Planted) countsLeftOut() bool { return false }
func (Planted) commitBlind() bool   { return false }
func (Planted) spanCutShort() bool  { return false }
func (Planted) pushForgotten() bool { return false }
func (Planted) newestGoes() bool    { return false }
func (Planted) thresholdKept() bool { return false }
