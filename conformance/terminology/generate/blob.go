package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const magic = "FSTERM1\n"

// blockSize is where a new block begins: small enough to be decoded for one
// resource in about a millisecond, large enough to compress well.
const blockSize = 128 << 10

// encode writes magic, the number and lengths of the frames, the frame of the
// index and the frames of the blocks.
func encode(all []resource) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	blocks := [][]byte{nil}
	var index strings.Builder
	for _, r := range all {
		last := len(blocks) - 1
		if last == 0 || len(blocks[last]) > 0 && len(blocks[last])+len(r.json) > blockSize {
			blocks = append(blocks, nil)
			last++
		}
		place := fmt.Sprintf("%s\t%d\t%d\t%d\n", r.version, last, len(blocks[last]), len(r.json))
		fmt.Fprintf(&index, "%s\t%s\t%s", r.kind, r.url, place)
		if url, _, _ := strings.Cut(r.valueSet, "|"); url != "" {
			fmt.Fprintf(&index, "a\t%s\t%s", url, place)
		}
		blocks[last] = append(blocks[last], r.json...)
	}
	blocks[0] = []byte(index.String())
	out := binary.AppendUvarint([]byte(magic), uint64(len(blocks)))
	var body []byte
	for _, b := range blocks {
		frame := z.EncodeAll(b, nil)
		out = binary.AppendUvarint(out, uint64(len(frame)))
		body = append(body, frame...)
	}
	return append(out, body...), nil
}
