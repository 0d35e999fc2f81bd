package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"vetting/agent/wire"
)

func row(t *testing.T, seed uint64, count int) []byte {
	t.Helper()

	var b bytes.Buffer
	if err := wire.WriteFrames(&b, seed, count); err != nil {
		t.Fatal(err)
	}

	return b.Bytes()
}

func TestFrames(t *testing.T) {
	const n = 5

	frame := func(raw []byte, i int) []byte { return raw[i*wire.FrameSize : (i+1)*wire.FrameSize] }

	for name, c := range map[string]struct {
		change     func(raw []byte) []byte
		count, bad int
		err        error
	}{
		"as they were sent":           {func(raw []byte) []byte { return raw }, n, 0, nil},
		"none":                        {func([]byte) []byte { return nil }, 0, 0, nil},
		"a flipped bit":               {func(raw []byte) []byte { raw[wire.FrameSize+777] ^= 4; return raw }, n, 1, nil},
		"a flipped bit of a checksum": {func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }, n, 1, nil},
		"two that changed places": {func(raw []byte) []byte {
			kept := bytes.Clone(frame(raw, 1))
			copy(frame(raw, 1), frame(raw, 3))
			copy(frame(raw, 3), kept)

			return raw
		}, n, 2, nil},
		"one that is missing":  {func(raw []byte) []byte { return append(bytes.Clone(frame(raw, 0)), raw[2*wire.FrameSize:]...) }, n - 1, n - 2, nil},
		"those of another row": {func([]byte) []byte { return row(t, 8, n) }, n, n, nil},
		"half a frame":         {func(raw []byte) []byte { return raw[:wire.FrameSize*2+10] }, 2, 0, io.ErrUnexpectedEOF},
	} {
		count, bad, err := wire.ReadFrames(bytes.NewReader(c.change(row(t, 7, n))), 7)
		if count != c.count || bad != c.bad || !errors.Is(err, c.err) {
			t.Errorf("%s: %d frames, %d bad, %v", name, count, bad, err)
		}
	}

	if count, _, _ := wire.ReadFrames(bytes.NewReader(row(t, 7, wire.MaxFrames+1)), 7); count != wire.MaxFrames {
		t.Errorf("%d frames were read, %d at most", count, wire.MaxFrames)
	}
}
