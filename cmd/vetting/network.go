package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"vetting/core"
	"vetting/netboot"
)

// RelayedConfig is a network behind a DHCP relay agent.
type RelayedConfig struct {
	Subnet string     `yaml:"subnet"`
	Pool   SpanConfig `yaml:"pool"`
}

// SpanConfig bounds addresses.
type SpanConfig struct {
	Start string `yaml:"start"`
	End   string `yaml:"end"`
}

// network reads what concerns the test network, of which prefix is our address
// and the length.
func (n NetbootConfig) network(prefix netip.Prefix) (netboot.Config, error) {
	mode, errMode := netboot.ParseMode(n.Mode)
	if errMode != nil {
		errMode = fmt.Errorf("netboot.%w", errMode)
	}

	quiet, errQuiet := n.ignoresSolicitations(mode)
	pool, errPool := n.Pool.span(prefix)
	reserved, errReserved := n.reserved()
	relayed, errRelayed := n.relayed()
	dns, errDNS := addresses("netboot.dns", n.DNS)
	ntp, errNTP := addresses("netboot.ntp", n.NTP)

	config := netboot.Config{
		Mode: mode, Interface: n.Interface, Prefix: prefix, Pool: pool, LeaseTime: time.Duration(n.Pool.Lease),
		Relayed: relayed, Reserved: reserved, OwnNetwork: n.OwnNetwork, NoRouter: quiet, DNS: dns, NTP: ntp,
	}

	err := errors.Join(errMode, errQuiet, errPool, errReserved, errRelayed, errDNS, errNTP)
	if err == nil {
		if err = config.ValidateNetwork(); err != nil {
			err = fmt.Errorf("netboot: %w", err)
		}
	}

	return config, err
}

// addresses reads the IPv4 addresses that stand at a key, with spaces between.
func addresses(key, text string) (all []netip.Addr, err error) {
	for word := range strings.FieldsSeq(text) {
		addr, err := netip.ParseAddr(word)
		if err != nil || !addr.Is4() {
			return nil, fmt.Errorf("%s: %q is not an IPv4 address; write them with spaces between, as in 10.77.0.1 10.77.0.2", key, word)
		}

		all = append(all, addr)
	}

	return all, nil
}

func (n NetbootConfig) ignoresSolicitations(mode netboot.Mode) (bool, error) {
	switch n.Solicitation {
	case "on":
		return false, nil
	case "off":
		return true, nil
	case "auto":
		// On a network of others we say nothing that nobody asked us for.
		return mode != netboot.ModeDHCP, nil
	default:
		return false, fmt.Errorf("netboot.router_solicitations: %q is none of auto, on, off", n.Solicitation)
	}
}

func (n NetbootConfig) reserved() (map[core.MAC]netip.Addr, error) {
	var errs []error

	all := map[core.MAC]netip.Addr{}

	for text, at := range n.Reservations {
		mac, err := core.ParseMAC(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("netboot.reservations: %q is not a MAC address like 52:54:00:00:00:01", text))
		}

		addr, err := netip.ParseAddr(at)
		if err != nil || !addr.Is4() {
			errs = append(errs, fmt.Errorf("netboot.reservations.%s: %q is not an IPv4 address", text, at))
		}

		all[mac] = addr
	}

	return all, errors.Join(errs...)
}

func (n NetbootConfig) relayed() ([]netboot.Network, error) {
	var (
		errs []error
		all  []netboot.Network
	)

	for i, r := range n.Relayed {
		prefix, err := netip.ParsePrefix(r.Subnet)
		if err != nil || !prefix.Addr().Is4() {
			errs = append(errs, fmt.Errorf("netboot.relayed[%d].subnet: %q is not the relay's address with its length, for example 10.78.0.1/24", i, r.Subnet))

			continue
		}

		pool, err := PoolConfig{Start: r.Pool.Start, End: r.Pool.End}.span(prefix)
		if err != nil {
			errs = append(errs, fmt.Errorf("netboot.relayed[%d]: %w", i, err))
		}

		if pool == (netboot.Range{}) {
			pool = netboot.DefaultPool(prefix)
		}

		all = append(all, netboot.Network{Prefix: prefix, Pool: pool})
	}

	return all, errors.Join(errs...)
}
