package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"vetting/agent/partner"
)

// newPartner makes the throughput partner, which listens once the test NIC has our
// address.
func (a *appliance) newPartner() *partner.Partner {
	return partner.New(partner.Config{
		Authorise: a.engine.Authorise, Has: a.onTestNIC, Log: a.log, IPerf3: a.config.Traffic.IPerf3,
		Link: func() partner.Link { return partner.ReadLink("/sys/class/net", a.config.Netboot.Interface) },
		Stat: func() ([]byte, error) { return os.ReadFile("/proc/stat") },
	})
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
