package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"vetting/agent/gate/partner"
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

// TestReadLink reads a card as the kernel shows it; what it does not tell is nothing.
func TestReadLink(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/speed": "10000\n", "a/statistics/rx_bytes": "7\n", "a/statistics/tx_bytes": "9\n", "b/speed": "-1\n", "b/statistics/rx_bytes": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	for name, want := range map[string]partner.Link{"a": {Mbps: 10000, Rx: 7, Tx: 9}, "b": {}, "c": {}} {
		if got := readLink(dir, name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
