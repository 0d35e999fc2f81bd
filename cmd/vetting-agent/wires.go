package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"vetting/agent/lldp"
	"vetting/agent/network"
	"vetting/agent/stage"
	"vetting/agent/traffic"
)

// wires is what the stage Network needs of this system.
type wires struct{ addresses *network.Addresses }

// Address gives a port an address on the test network.
func (w wires) Address(ctx context.Context, port string) (string, func(), error) {
	addr, drop, err := w.addresses.Address(ctx, port)
	if errors.Is(err, network.ErrElsewhere) {
		err = fmt.Errorf("%w: %w", stage.ErrElsewhere, err)
	}

	return addr.String(), drop, err
}

// Measure tests a port by connections that go through it and no other.
func (wires) Measure(ctx context.Context, t traffic.Ticket, port, addr string, s traffic.Schedule, o stage.Observer) *traffic.Report {
	from, _ := netip.ParseAddr(addr) // of Address
	client := &traffic.Client{
		Ticket: t, Dial: traffic.Through(port, from), Moved: o.Moved, Stat: func() ([]byte, error) { return os.ReadFile("/proc/stat") },
	}

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU())) // nothing else is under test meanwhile

	return client.Measure(ctx, s, func(phase string, done float64, left time.Duration) { o.Phase(phase, done, left) })
}

// Neighbour waits until the switch behind a port announces itself.
func (wires) Neighbour(ctx context.Context, port string) (string, error) {
	heard, err := lldp.Listen(ctx, port)
	if err != nil {
		return "", err
	}

	return heard.String(), nil
}
