//go:build linux

package lab_test

import (
	"bytes"
	"testing"

	"vetting/cmd/vetting-lab/lab"
)

func TestAnAccessPortTagsAndUntags(t *testing.T) {
	plain := append(bytes.Repeat([]byte{2}, 12), 0x08, 0x00, 1, 2, 3)
	tagged := append(bytes.Repeat([]byte{2}, 12), 0x81, 0x00, 0x00, 42, 0x08, 0x00, 1, 2, 3)

	var seen []byte

	w := &lab.Wire{VLAN: 42, Note: func(f lab.Frame, _ bool) { seen = f.Data }}

	if out, ok := lab.Through(w, bytes.Clone(plain), false); !ok || !bytes.Equal(out, tagged) || !bytes.Equal(seen, tagged) {
		t.Errorf("what the machine says comes out as % x (%t), noted as % x", out, ok, seen)
	}

	if out, ok := lab.Through(w, bytes.Clone(tagged), true); !ok || !bytes.Equal(out, plain) || !bytes.Equal(seen, tagged) {
		t.Errorf("what it hears is % x (%t), noted as % x", out, ok, seen)
	}

	other := bytes.Clone(tagged)
	other[15] = 43

	for name, frame := range map[string][]byte{"without a tag": plain, "of another VLAN": other, "cut short": tagged[:14]} {
		if _, ok := lab.Through(w, bytes.Clone(frame), true); ok {
			t.Errorf("it hears a frame %s", name)
		}
	}
}
