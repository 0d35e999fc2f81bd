package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"vetting/agent/lldp"
	"vetting/agent/network"
	"vetting/agent/partner"
	"vetting/agent/stage"
	"vetting/agent/traffic"
	"vetting/core"
)

// wires is what the stage Network needs of this system.
type wires struct {
	addresses *network.Addresses
	log       *slog.Logger
}

// SwitchOn switches on the ports that are off.
func (w wires) SwitchOn(ctx context.Context) {
	if err := network.BringUp(ctx, os.DirFS("/")); err != nil && ctx.Err() == nil {
		w.log.Warn("a network port stays off", slog.String("error", err.Error()))
	}
}

// Address gives a port an address on the test network.
func (w wires) Address(ctx context.Context, port string) (string, func(), error) {
	addr, drop, err := w.addresses.Address(ctx, port)
	if errors.Is(err, network.ErrElsewhere) {
		err = fmt.Errorf("%w: %w", stage.ErrElsewhere, err)
	}

	return addr.String(), drop, err
}

// Measure tests a port by connections that go through it and no other.
func (w wires) Measure(ctx context.Context, t traffic.Ticket, port, addr string, s traffic.Schedule, o stage.Observer) *traffic.Report {
	from, _ := netip.ParseAddr(addr) // of Address

	return w.measure(ctx, t, s, o, traffic.Through(port, from))
}

func (wires) measure(ctx context.Context, t traffic.Ticket, s traffic.Schedule, o stage.Observer,
	dial func(ctx context.Context, family, to string) (net.Conn, error),
) *traffic.Report {
	client := &traffic.Client{Ticket: t, Dial: dial, Moved: o.Moved, Stat: func() ([]byte, error) { return os.ReadFile("/proc/stat") }}

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU())) // nothing else is under test meanwhile

	return client.Measure(ctx, s, func(phase string, done float64, left time.Duration) { o.Phase(phase, done, left) })
}

// Serve lets another machine measure a port, by the same partner that the appliance has.
func (w wires) Serve(ctx context.Context, port, addr string) (mine traffic.Peer, stop func(), err error) {
	server := partner.New(partner.Config{
		Port:      port,
		Authorise: func(context.Context, core.RunID, string) (int, error) { return 0, nil }, // whoever has the ticket has it of the appliance
		Link:      func() partner.Link { return partner.ReadLink("/sys/class/net", port) },
		Stat:      func() ([]byte, error) { return os.ReadFile("/proc/stat") },
		Log:       w.log,
	})

	listener, err := traffic.Listen(ctx, port, addr)
	if err != nil {
		return mine, nil, err
	}

	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	threads := runtime.GOMAXPROCS(runtime.NumCPU()) // as above

	go func() { served <- server.Serve(ctx, listener) }()

	stop = func() {
		cancel()

		if err := <-served; err != nil {
			w.log.Warn("another machine's test of a port broke off", slog.String("port", port), slog.String("error", err.Error()))
		}

		runtime.GOMAXPROCS(threads)
	}

	for { // it listens in a moment
		told, err := server.Admit("", "")
		if err == nil {
			where, _ := netip.ParseAddrPort(listener.Addr().String()) // of a listener for TCP

			return traffic.Peer{Ticket: traffic.Ticket{ID: told.Ticket, Key: told.Key, Server: where}}, stop, nil
		}

		select {
		case err := <-served:
			served <- err

			stop()

			return mine, nil, fmt.Errorf("offering %s to another machine: %w", port, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// Neighbour waits until the switch behind a port announces itself.
func (wires) Neighbour(ctx context.Context, port string) (string, error) {
	heard, err := lldp.Listen(ctx, port)
	if err != nil {
		return "", err
	}

	return heard.String(), nil
}

// Hear has ports of the machine call each other.
func (wires) Hear(ctx context.Context, ports []string, patience time.Duration) (func(a, b string) bool, error) {
	heard, err := network.Hear(ctx, ports, patience)

	return func(a, b string) bool { return heard[[2]string{a, b}] }, err
}

// Loop moves a port into a network namespace, from which it reaches another one by their
// cables alone; that one serves it as the appliance would.
func (w wires) Loop(ctx context.Context, moves, stays string) (*stage.Loop, error) {
	loop, err := w.addresses.Loop(ctx, moves, stays)
	if err != nil {
		return nil, err
	}

	return &stage.Loop{
		Inside: loop.Inside, End: loop.End,
		Measure: func(ctx context.Context, s traffic.Schedule, o stage.Observer) *traffic.Report {
			return w.measureLoop(ctx, loop, moves, stays, s, o)
		},
	}, nil
}

func (w wires) measureLoop(ctx context.Context, loop *network.Loop, moves, stays string, s traffic.Schedule, o stage.Observer) *traffic.Report {
	peer, stop, err := w.Serve(ctx, stays, loop.Stays.String())
	if err != nil {
		return &traffic.Report{Phase: "offering " + stays, Err: err}
	}
	defer stop()

	dial := traffic.Through(moves, loop.Moved)

	return w.measure(ctx, peer.Ticket, s, o, func(ctx context.Context, network, to string) (conn net.Conn, err error) {
		fault := loop.Inside(func() { conn, err = dial(ctx, network, to) })

		return conn, errors.Join(fault, err)
	})
}
