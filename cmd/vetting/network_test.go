package main

import (
	"net/netip"
	"strings"
	"testing"
)

// Whoever names only the network gets addresses of that network, and not those of
// the default one.
func TestThePoolFollowsTheSubnet(t *testing.T) {
	for subnet, want := range map[string][2]string{
		Defaults().Netboot.Subnet: {"10.77.0.10", "10.77.0.254"},
		"192.168.50.1/24":         {"192.168.50.10", "192.168.50.254"},
		"172.16.4.254/24":         {"172.16.4.10", "172.16.4.254"},
		"10.9.8.1/22":             {"10.9.8.10", "10.9.11.241"},
	} {
		source := source{env: map[string]string{}, flags: map[string]string{"subnet": subnet, "interface": "eth1"}}

		config, err := source.load()
		if err != nil {
			t.Fatal(err)
		}

		network, err := config.Netboot.network(netip.MustParsePrefix(config.Netboot.Subnet))
		if err != nil {
			t.Fatal(err)
		}

		if network.Pool.First.String() != want[0] || network.Pool.Last.String() != want[1] {
			t.Errorf("%s: %s to %s, want %v", subnet, network.Pool.First, network.Pool.Last, want)
		}
	}
}

func TestServersThatHostsAreToldOf(t *testing.T) {
	t.Parallel()

	prefix := netip.MustParsePrefix("10.77.0.1/24")
	config := Defaults().Netboot
	config.DNS, config.NTP = " 10.77.0.2  10.77.0.3", "10.77.0.4"

	network, err := config.network(prefix)
	if err != nil || len(network.DNS) != 2 || len(network.NTP) != 1 || network.DNS[1].String() != "10.77.0.3" {
		t.Errorf("%v %v: %v", network.DNS, network.NTP, err)
	}

	for key, wrong := range map[string]NetbootConfig{
		"netboot.dns": {DNS: "ns.example.org"}, "netboot.ntp": {NTP: "10.77.0.4,10.77.0.5"}, "DNS servers": {DNS: "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4"},
	} {
		config := Defaults().Netboot
		config.DNS, config.NTP = wrong.DNS, wrong.NTP

		if _, err := config.network(prefix); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
