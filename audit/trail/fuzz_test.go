package trail

import (
	"crypto/sha256"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
)

// FuzzDecode: no bytes make the decoders panic or read out of bounds.
func FuzzDecode(f *testing.F) {
	e := readEvent(1)
	l := newLayout(&e, nil)
	f.Add(appendBody(nil, &e, l), appendPatient(nil, &e, l, patient(1)))
	f.Fuzz(func(_ *testing.T, body, part []byte) {
		var got audit.Event
		flags, err := decodeBody(body, &got)
		if err == nil {
			_ = decodePatient(part, &got, flags)
		}
		_, _ = parseBlock(body)
	})
}

// FuzzFrame: what parses as a frame is what appendFrame writes.
func FuzzFrame(f *testing.F) {
	h := header{seq: 7, time: 8, durable: 6, bodyHash: sha256.Sum256([]byte("block"))}
	whole, _ := appendFrame(nil, &h, []byte("block"))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, ok := parseFrame(b)
		if !ok {
			return
		}
		again, leaf := appendFrame(nil, &fr.header, fr.block)
		if string(again) != string(fr.raw) || leaf != fr.leaf {
			t.Error("frame does not round-trip")
		}
	})
}

// FuzzCheckpoint: witness and checkpoint files may hold anything.
func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte("fieldseal audit witness\n{}\n\nn1\n1\nAA==\ntime x\n\n— n1 AA==\n\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _, _, _ = parseWitness(b)
		_, _ = parseCheckpoint(string(b), "n1")
	})
}

// Every bit of a sealed record counts: no changed block opens.
func TestChangedBlockDoesNotOpen(t *testing.T) {
	t.Parallel()
	tr := mustOpen(t, testOptions(t, newFakeKeys()))
	e := readEvent(1)
	var d draft
	if err := tr.prepare(t.Context(), &d, &e); err != nil {
		t.Fatal(err)
	}
	block := d.appendBlock(nil, "n1", 5)
	if _, err := tr.sealer.openEvent(t.Context(), block, place{"n1", 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.sealer.openEvent(t.Context(), block, place{"n1", 6}); err == nil {
		t.Error("a record opened at another sequence number")
	}
	if _, err := tr.sealer.openEvent(t.Context(), block, place{"n2", 5}); err == nil {
		t.Error("a record opened under another origin")
	}
	terms := 2 + 8*len(d.terms) // terms are bound by the hash, not by the seals
	for i := terms * 8; i < len(block)*8; i++ {
		bad := append([]byte(nil), block...)
		bad[i/8] ^= 1 << (i % 8)
		got, err := tr.sealer.openEvent(t.Context(), bad, place{"n1", 5})
		if err == nil && (len(got.Entities) == 0 || !got.Entities[0].Erased) {
			t.Fatalf("bit %d of %d may be flipped", i, len(block)*8)
		}
	}
}
