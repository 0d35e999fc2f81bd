package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"vetting/agent/gate/partner"
)

// newPartner makes the throughput partner, which listens once the test NIC has our
// address.
func (a *appliance) newPartner() *partner.Partner {
	return partner.New(partner.Config{
		Authorise: a.engine.Authorise, Has: a.onTestNIC, Log: a.log, IPerf3: a.config.Traffic.IPerf3,
		Link: func() partner.Link { return readLink("/sys/class/net", a.config.Netboot.Interface) },
		Stat: func() ([]byte, error) { return os.ReadFile("/proc/stat") },
	})
}

// readLink reads what a network card is and has moved; what it does not tell is zero.
func readLink(folder, name string) partner.Link {
	number := func(file string) uint64 {
		text, err := os.ReadFile(filepath.Join(folder, name, file))
		if err != nil {
			return 0
		}

		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 63)
		if err != nil { // -1: the card does not know its speed
			return 0
		}

		return n
	}

	return partner.Link{Mbps: int(number("speed")), Rx: number("statistics/rx_bytes"), Tx: number("statistics/tx_bytes")}
}

// servePartner takes part in network tests once our address is on the test NIC.
func (a *appliance) servePartner(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.netboot.Ready():
	}

	where := net.JoinHostPort(a.self.Addr().String(), strconv.Itoa(a.config.Traffic.Port))

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", where)
	if err != nil {
		return fmt.Errorf("opening the throughput partner (set traffic.port where something else has this one): %w", err)
	}

	return a.partner.Serve(ctx, listener)
}
