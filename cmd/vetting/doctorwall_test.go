package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"vetting/core"
	"vetting/netboot"
)

func TestDoctorSaysWhichRuleShutsMachinesOut(t *testing.T) {
	for _, c := range []struct {
		rules, card, result string
		says                []string
	}{
		{"docker", "eth1", "ok", []string{"no rule of nft is sure to keep machines on eth1 away"}},
		{"mixed", "eth1", "ok", nil},
		{"mixed", "eth2", "fail", []string{
			"packets from eth2 are dropped: udp 67, udp 69, udp 4011 by table ip other, chain early: rule 3",
			"tcp 80, tcp 443, udp 547 of IPv6, udp 69 of IPv6 by table inet filter, chain input: its policy is drop", "iifname eth2 accept",
		}},
	} {
		rules, err := os.ReadFile("../../netboot/firewall/testdata/" + c.rules + ".json")
		if err != nil {
			t.Fatal(err)
		}

		found := &checkup{}
		found.wall(c.card, netboot.ModeDHCP, rules, nil)

		if len(found.Checks) != 1 || found.Checks[0].Result != c.result {
			t.Fatalf("%s from %s: %+v", c.rules, c.card, found.Checks)
		}

		for _, text := range c.says {
			if !strings.Contains(found.Checks[0].Detail, text) {
				t.Errorf("%s from %s lacks %q: %s", c.rules, c.card, text, found.Checks[0].Detail)
			}
		}
	}

	found := &checkup{}
	found.wall("eth1", netboot.ModeDHCP, nil, errNoNft)
	found.wall("eth1", netboot.ModeDHCP, []byte("nonsense"), nil)
	found.wall("eth1", netboot.ModeDHCP, nil, errors.New("broken"))

	if got := found.Checks; got[0].Result != "ok" || got[1].Result != "fail" || got[2].Result != "fail" {
		t.Errorf("without rules: %+v", got)
	}
}

func TestDoctorSaysWhichOlderRuleShutsMachinesOut(t *testing.T) {
	const rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i eth2 -j ACCEPT\n"

	found := &checkup{}
	found.olderWall("eth1", netboot.ModeDHCP, "iptables-legacy-save", false, []byte(rules), nil)
	found.olderWall("eth2", netboot.ModeDHCP, "iptables-legacy-save", false, []byte(rules), nil)
	found.olderWall("eth1", netboot.ModeDHCP, "iptables-legacy-save", false, nil, errors.New("exec: not found"))

	for i, want := range []symptom{
		{"", "fail", "udp 67, udp 69, tcp 80, tcp 443, udp 4011 by iptables-legacy, table ip filter, chain INPUT: its policy is drop, and no rule lets it in. " +
			"Let them in there, for example: iptables-legacy -I INPUT -i eth1 -j ACCEPT"},
		{"", "ok", "no rule that iptables-legacy-save lists"},
		{"", "warn", "not found"},
	} {
		if got := found.Checks[i]; got.Result != want.Result || os.Geteuid() == 0 && !strings.Contains(got.Detail, want.Detail) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestDoctorSaysHowVirtualMachinesArePlayed(t *testing.T) {
	found := &checkup{}
	found.machines(nil, "kvm")
	found.machines(nil, "tcg,thread=multi")
	found.machines(core.NewProblem(core.ErrNotFound, "netboot/trial-missing", "it lacks QEMU."), "tcg")

	for i, want := range []string{"full speed", "emulated", "it lacks QEMU."} {
		if got := found.Checks[i]; got.Result != "ok" || !strings.Contains(got.Detail, want) {
			t.Errorf("%+v lacks %q", got, want)
		}
	}
}

// DHCPv6's port in another's hands is told with who has it, and is no reason not to serve.
func TestDoctorNamesTheHolderOfThePortsOfIPv6(t *testing.T) {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{Port: 547})
	if err != nil {
		t.Skip("missing: a right to open port 547, or IPv6")
	}
	defer conn.Close()

	found := &checkup{}
	found.six(t.Context(), "lo", netboot.ModeDHCP)
	found.six(t.Context(), "lo", netboot.ModeOff)

	if len(found.Checks) != 1 || found.Checks[0].Result != "warn" || !strings.Contains(found.Checks[0].Detail, "547 is already in use by vetting.test (pid ") {
		t.Errorf("%+v", found.Checks)
	}
}
