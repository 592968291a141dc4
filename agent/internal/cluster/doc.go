// Package cluster holds the nouns: nodes, stores, ranges, replicas, vshards.
//
// It has no behaviour but validation and arithmetic, and imports nothing of
// ours: every other package speaks of the cluster in these types.
package cluster
