package wire_test

import (
	"net/netip"
	"strings"
	"testing"

	"vetting/agent/wire"
)

func TestGivenBy(t *testing.T) {
	server, own := netip.MustParseAddr("10.77.0.1"), netip.MustParsePrefix("10.77.0.40/24")

	for line, want := range map[string]wire.Given{
		"":                               {},
		"quiet BOOTIF=01-52-54-00-00-00": {},
		"console=tty0 vetting.url=https://10.77.0.1":                   {Server: server},
		"vetting.url=https://10.77.0.1/ vetting.address=10.77.0.40/24": {Server: server, Addr: own},
	} {
		if got, err := wire.GivenBy(line); err != nil || got != want {
			t.Errorf("%q: %+v %v", line, got, err)
		}
	}

	for _, line := range []string{
		"vetting.url=http://10.77.0.1", "vetting.url=https://appliance", "vetting.url=https://10.77.0.1:8443", "vetting.url=https://10.77.0.1/x", "vetting.url=", "vetting.url=%",
		"vetting.address=10.77.0.40/24", "vetting.url=https://10.77.0.1 vetting.address=10.77.0.40", "vetting.url=https://10.77.0.1 vetting.address=10.78.0.40/24",
		"vetting.url=https://10.77.0.1 vetting.address=10.77.0.1/24", "vetting.url=https://[fd00::1] vetting.address=fd00::2/64",
	} {
		if got, err := wire.GivenBy(line); err == nil || got != (wire.Given{}) {
			t.Errorf("%q: %+v %v", line, got, err)
		}
	}
}

// What is on a command line is read without a fall, and what is taken can be used.
func FuzzGivenBy(f *testing.F) {
	f.Add("vetting.url=https://10.77.0.1 vetting.address=10.77.0.40/24")

	f.Fuzz(func(t *testing.T, line string) {
		g, err := wire.GivenBy(line)
		if err == nil && g.Addr.IsValid() && !g.Addr.Contains(g.Server) || err != nil && g != (wire.Given{}) || strings.TrimSpace(line) == "" && g != (wire.Given{}) {
			t.Errorf("%q: %+v %v", line, g, err)
		}
	})
}
