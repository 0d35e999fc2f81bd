package main

import (
	"net/netip"
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
