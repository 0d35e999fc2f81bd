package ra_test

import (
	"bytes"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"testing"

	"vetting/netboot/ra"
)

func recorded(t testing.TB) map[string][]byte {
	t.Helper()

	names, err := filepath.Glob("testdata/packets/*.bin")
	if err != nil || len(names) < 5 {
		t.Fatalf("found %d recorded packets (%v)", len(names), err)
	}

	all := map[string][]byte{}

	for _, name := range names {
		if all[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}

	return all
}

func TestRecordedSolicitationsAreUnderstood(t *testing.T) {
	for name, packet := range recorded(t) {
		if !ra.Solicitation(packet) {
			t.Errorf("%s is not: % x", name, packet)
		}
	}
}

// RFC 4861 §6.1.1 lists what a valid solicitation is.
func TestOnlyValidSolicitationsAre(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		want bool
	}{
		"without options":            {"8500000000000000", true},
		"with its link address":      {"8500000000000000" + "0101525400770001", true},
		"with an unknown option":     {"8500000000000000" + "fe0100000000000001010000000000ff", true},
		"nothing":                    {"", false},
		"cut short":                  {"85000000000000", false},
		"with a code":                {"8501000000000000", false},
		"an advertisement":           {"8600000000000000", false},
		"an option without length":   {"8500000000000000" + "0100525400770001", false},
		"an option cut short":        {"8500000000000000" + "0102525400770001", false},
		"the beginning of an option": {"8500000000000000" + "0101", false},
	} {
		packet, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}

		if got := ra.Solicitation(packet); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The advertisement does no harm: it is no router (lifetime 0), hands out no
// prefix and sends nobody to DHCPv6 (M and O are 0).
func TestAdvertisementOfNoRouter(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}
	want := "86000000" + "40000000" + "0000000000000000" + "0101525400770001"

	if got := hex.EncodeToString(ra.Advertisement(mac)); got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}

	// A card without an Ethernet address leaves the option out.
	if got := hex.EncodeToString(ra.Advertisement(nil)); got != want[:32] {
		t.Errorf("wrote %s, want %s", got, want[:32])
	}
}

// FuzzSolicitation: a valid solicitation stays one with a valid option more, and
// is none with a byte less.
func FuzzSolicitation(f *testing.F) {
	for _, packet := range recorded(f) {
		f.Add(packet)
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		if !ra.Solicitation(b) {
			return
		}

		if !ra.Solicitation(append(bytes.Clone(b), 1, 1, 2, 0, 0, 0, 0, 1)) {
			t.Error("not with one option more")
		}

		if ra.Solicitation(b[:len(b)-1]) {
			t.Error("even with a byte less")
		}
	})
}
