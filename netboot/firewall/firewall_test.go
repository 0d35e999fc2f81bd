package firewall_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vetting/netboot/firewall"
)

// doors are what the boot services listen for.
func doors() []firewall.Door {
	return []firewall.Door{
		{Protocol: "udp", Port: 67},
		{Protocol: "udp", Port: 69},
		{Protocol: "tcp", Port: 80},
		{Protocol: "tcp", Port: 443},
		{Protocol: "udp", Port: 4011},
		{Protocol: "udp", Port: 547, Six: true},
	}
}

// TestJudge reads what nft has written of rules that were loaded into a kernel.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		file, card string
		want       []string
	}{
		// Rules that let the boot services in by sets, ranges and a chain of their own.
		{"mixed", "eth1", nil},
		// A policy of drop, and rules for other ports only.
		{"mixed", "eth0", []string{"udp 67 policy", "udp 69 policy", "tcp 80 policy", "tcp 443 policy", "udp 4011 policy", "udp 547 of IPv6 policy"}},
		// A rule that comes before, for two of them; the policy has the others.
		{"mixed", "eth2", []string{"udp 67 chain early", "udp 69 chain early", "tcp 80 policy", "tcp 443 policy", "udp 4011 chain early", "udp 547 of IPv6 policy"}},
		{"docker", "eth1", nil},
		{"ufw", "eth1", []string{"udp 67 policy", "udp 69 policy", "tcp 80 policy", "tcp 443 policy", "udp 4011 policy", "udp 547 of IPv6 policy"}},
		{"empty", "eth1", nil},
	} {
		rules, err := os.ReadFile(filepath.Join("testdata", c.file+".json"))
		if err != nil {
			t.Fatal(err)
		}

		shut, err := firewall.Judge(rules, c.card, doors())
		if err != nil {
			t.Fatal(err)
		}

		var got []string

		for _, s := range shut {
			by := "policy"
			if !strings.Contains(s.By, "its policy is drop") {
				_, by, _ = strings.Cut(s.By, ", ")
				by, _, _ = strings.Cut(by, ":")
			}

			got = append(got, fmt.Sprintf("%s %s", s.Door, by))
		}

		if !slices.Equal(got, c.want) {
			t.Errorf("%s from %s: shut are %q, want %q", c.file, c.card, got, c.want)
		}
	}
}

// Rules that jump in circles, as the kernel does not take them, end nevertheless.
func TestRulesInCirclesEnd(t *testing.T) {
	rules := `{"nftables": [
		{"chain": {"family": "inet", "table": "t", "name": "a", "type": "filter", "hook": "input", "policy": "drop"}},
		{"rule": {"family": "inet", "table": "t", "chain": "a", "expr": [{"jump": {"target": "a"}}]}},
		{"rule": {"family": "inet", "table": "t", "chain": "a", "expr": [{"jump": {"target": "a"}}]}}]}`

	if _, err := firewall.Judge([]byte(rules), "eth1", doors()); err != nil {
		t.Error(err)
	}
}

// FuzzJudge: whatever nft or what stands in its place says, it ends.
func FuzzJudge(f *testing.F) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) < 3 {
		f.Fatalf("found %d files (%v)", len(names), err)
	}

	for _, name := range names {
		rules, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}

		f.Add(rules)
	}

	f.Fuzz(func(t *testing.T, rules []byte) {
		if shut, _ := firewall.Judge(rules, "eth1", doors()); len(shut) > len(doors()) {
			t.Errorf("%d of %d doors are shut", len(shut), len(doors()))
		}
	})
}
