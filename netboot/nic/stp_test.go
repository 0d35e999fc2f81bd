package nic_test

import (
	"encoding/hex"
	"testing"
	"time"

	"vetting/netboot/nic"
)

// configuration is a BPDU of a Linux bridge with spanning tree on (hello 2 s, forward delay 15 s).
const configuration = "0180c2000000" + "525400770002" + "0026" + "424203" + "0000" + "00" + "00" + "00" +
	"8000525400770001" + "00000000" + "8000525400770001" + "8001" + "0000" + "1400" + "0200" + "0f00" + "0000000000000000"

func TestASwitchsSpanningTreeIsRead(t *testing.T) {
	whole, err := hex.DecodeString(configuration)
	if err != nil {
		t.Fatal(err)
	}

	change := func(at int, b byte) []byte {
		frame := append([]byte(nil), whole...)
		frame[at] = b

		return frame
	}

	for name, c := range map[string]struct {
		frame []byte
		want  time.Duration
		ok    bool
	}{
		"a configuration":      {whole, 30 * time.Second, true},
		"a rapid one":          {change(20, 2), 30 * time.Second, true},
		"forward delay of 4 s": {change(50, 4), 8 * time.Second, true},
		"a topology change":    {change(20, 0x80), 0, false},
		"to another group":     {change(5, 0x0e), 0, false}, // LLDP's
		"another protocol":     {change(14, 0xaa), 0, false},
		"cut short":            {whole[:50], 0, false},
		"nothing":              {nil, 0, false},
	} {
		if got, ok := nic.BPDU(c.frame); got != c.want || ok != c.ok {
			t.Errorf("%s: %s, %t", name, got, ok)
		}
	}
}

func FuzzBPDU(f *testing.F) {
	whole, err := hex.DecodeString(configuration)
	if err != nil {
		f.Fatal(err)
	}

	f.Add(whole)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if deaf, ok := nic.BPDU(frame); deaf < 0 || !ok && deaf != 0 {
			t.Errorf("%s, %t", deaf, ok)
		}
	})
}
