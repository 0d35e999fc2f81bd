package stage_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/profile"
)

// The port that the machine booted from keeps its link, ports of other networks are left
// alone, and what fails is tested once more.
func TestPortsTestThemselves(t *testing.T) {
	failed := probe.PortTest{Tests: 5, Failed: true, Wrong: []string{"Loopback test (offline)"}}
	passed := probe.PortTest{Tests: 5}

	for name, c := range map[string]struct {
		config  string
		setup   func(b *netBench)
		owned   []bool
		words   string
		verdict core.Verdict
	}{
		"online":                               {"online", nil, []bool{false}, "self-test passed (online, 5 tests)", core.Pass},
		"offline":                              {"offline", nil, []bool{true}, "self-test passed (offline, 5 tests)", core.Pass},
		"none":                                 {"none", nil, nil, "", core.Pass},
		"the profile says nothing":             {"", nil, nil, "", core.Pass},
		"offline, and booted from it":          {"offline", func(b *netBench) { b.BootMAC = "52:54:00:00:00:01" }, []bool{false}, "self-test passed (online, 5 tests)", core.Pass},
		"offline, and nobody knows the boot's": {"offline", func(b *netBench) { b.BootMAC = "52:54:00:00:00:09" }, []bool{false}, "self-test passed (online, 5 tests)", core.Pass},
		"offline, in a virtual machine":        {"offline", virtually, []bool{false}, "self-test passed (online, 5 tests)", core.Pass},
		"a port of another network":            {"offline", func(b *netBench) { b.refused = errors.New("it was offered 192.168.1.7") }, nil, "NOT tested", core.Error},
		"a driver without tests":               {"offline", func(b *netBench) { b.ownErr = disk.ErrRefused }, []bool{true}, "its driver has no self-test", core.Pass},
		"a driver that cannot now":             {"offline", func(b *netBench) { b.ownErr = errors.New("device or resource busy") }, []bool{true}, "self-test NOT done: device or resource busy", core.Pass},
		"failed twice":                         {"offline", func(b *netBench) { b.own = []probe.PortTest{failed} }, []bool{true, true}, "self-test failed (offline): Loopback test (offline)", core.Fail},
		"failed, and passed then":              {"offline", func(b *netBench) { b.own = []probe.PortTest{failed, passed} }, []bool{true, true}, "self-test passed", core.Pass},
		"a link that does not come back":       {"offline", func(b *netBench) { b.downs = true }, []bool{true, true}, "no link after its self-test", core.Fail},
	} {
		b := newNetBench()
		b.BootMAC = "52:54:00:00:00:02" // eth1
		b.Config[profile.NetworkSelfTest] = c.config
		b.own = []probe.PortTest{passed}

		if c.setup != nil {
			c.setup(b)
		}

		r := b.run(t)
		if r.Verdict != c.verdict || !slices.Equal(b.owned, c.owned) || !strings.Contains(r.SubSteps[0].Summary, c.words) {
			t.Errorf("%s: %s, tested %v, %q: %+v", name, r.Verdict, b.owned, r.SubSteps[0].Summary, r.Findings)
		}

		if c.owned == nil && strings.Contains(r.SubSteps[0].Summary, "self-test") {
			t.Errorf("%s: %q", name, r.SubSteps[0].Summary)
		}

		if found := find(r, "network/flap"); len(found) > 0 {
			t.Errorf("%s: the test itself counts as a flap", name)
		}
	}
}

func virtually(b *netBench) { b.files["proc/cpuinfo"] = text("flags\t\t: fpu hypervisor") }

// Where the other end advertises more than the link has, the cable is at fault; else it is
// that end which is slower.
func TestWhatTheOtherEndAdvertises(t *testing.T) {
	for partner, words := range map[int]string{0: "can do 25000", 25_000: "the other end advertises 25000: look at the cable", 10_000: "the other end advertises no more than 10000"} {
		b := newNetBench()
		b.port.MaxSpeedMbps, b.port.PartnerMbps = 25_000, partner

		found := find(b.run(t), "network/below-capability")
		if len(found) != 1 || !strings.HasSuffix(found[0].Evidence, words) {
			t.Errorf("%d: %+v", partner, found)
		}
	}
}
