package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"vetting/agent"
	"vetting/agent/hold"
	"vetting/agent/initd"
	"vetting/agent/network"
	"vetting/agent/wake"
	"vetting/core"
)

// sshPort is where operators look for a held machine.
const sshPort = "22"

// door is the SSH server of a hold with what it listens on.
type door struct {
	*hold.Server
	listener net.Listener
}

// Run answers until ctx ends.
func (d door) Run(ctx context.Context) error { return d.Server.Run(ctx, d.listener) }

// openDoor returns what opens a held machine to the operator, on the leased
// address alone.
func (m *machine) openDoor(lease network.Lease) func(context.Context, *slog.Logger) (agent.Door, error) {
	return func(ctx context.Context, log *slog.Logger) (agent.Door, error) {
		server, err := hold.New(hold.Config{Random: rand.Reader, Log: log, SpareShell: true})
		if err != nil {
			return nil, err
		}

		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(lease.Addr.Addr().String(), sshPort))
		if err != nil {
			return nil, fmt.Errorf("listening for the operator: %w", err)
		}

		return door{Server: server, listener: listener}, nil
	}
}

// powerOff has the boot NIC listen for the next magic packet and switches the
// machine off.
func (m *machine) powerOff(boot core.MAC) func() error {
	return func() error {
		for _, link := range network.Links(m.root) {
			if link.MAC != boot {
				continue
			}

			switch err := wake.Arm(wake.System{}, link.Name); {
			case errors.Is(err, wake.ErrUnsupported):
				m.log.Info("this machine cannot be woken over the network", slog.String("port", link.Name))
			case err != nil:
				m.log.Warn("this machine may not wake over the network", slog.String("error", err.Error()))
			}
		}

		return initd.PowerOff()
	}
}
