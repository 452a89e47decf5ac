package field

import (
	_ "embed"
	"strings"
)

// namesText lists every member name of R4 4.0.1, the frequent ones first. Its
// order is part of the stored format (docs/format/envelope.md): lines may be
// appended, never moved.
//
//go:embed names.txt
var namesText string

// dictionary maps frequent member names to small numbers in slot maps.
type dictionary struct {
	ids    map[string]uint16
	quoted [][]byte // `"name"`
}

func newDictionary() *dictionary {
	names := strings.Fields(namesText)
	d := &dictionary{ids: make(map[string]uint16, len(names)), quoted: make([][]byte, len(names))}
	for i, n := range names {
		d.ids[n] = uint16(i)
		d.quoted[i] = []byte(`"` + n + `"`)
	}
	return d
}
