package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/repository"
)

// Keys of the table (docs/format/nodes.md).
const (
	nodePrefix  = "node/"
	leasePrefix = "lease/"
	roundKey    = "round"
)

// nodeRow says that a node is there.
type nodeRow struct {
	Instance string `json:"instance"` // of one process, random
	Round    uint64 `json:"round"`    // newest that it has taken over
	Rules    string `json:"rules"`
	Beat     uint64 `json:"beat"` // counts renewals, so that each changes the row
}

// leaseRow says who does some work.
type leaseRow struct {
	Node     string `json:"node"`
	Instance string `json:"instance"`
}

// other is a node's row as it was read.
type other struct {
	nodeRow
	revision uint64
}

// snapshot is the table at one time.
type snapshot struct {
	nodes map[string]other
	round uint64
}

func read(ctx context.Context, t repository.Table) (snapshot, error) {
	s := snapshot{nodes: map[string]other{}}
	for row, err := range t.Scan(ctx, nil) {
		if err != nil {
			return s, fmt.Errorf("reading the register of nodes: %w", err)
		}
		key := string(row.Key)
		name, isNode := strings.CutPrefix(key, nodePrefix)
		switch {
		case isNode:
			o := other{revision: row.Revision}
			if err := json.Unmarshal(row.Value, &o.nodeRow); err != nil {
				return s, fmt.Errorf("the row of a node: %w", repository.ErrCorrupt)
			}
			s.nodes[name] = o
		case key == roundKey:
			if s.round, err = parseRound(row.Value); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

func parseRound(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("the counter of rounds: %w", repository.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(b), nil
}

func nodeKey(name string) []byte { return []byte(nodePrefix + name) }
