package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"vetting/core"
	"vetting/netboot/nic"
)

// heldPort is where the agent of a held host answers ssh.
const heldPort = 22

// dialHeld reaches the SSH server of the host that a run holds, by the test NIC
// and by nothing else: what an agent says of its address never leads elsewhere.
func (a *appliance) dialHeld(ctx context.Context, id core.RunID) (net.Conn, error) {
	var run core.Run

	if err := a.store.View(ctx, func(r core.Reader) error { return r.Get(core.TableRun, string(id), &run) }); err != nil {
		return nil, fmt.Errorf("reading run %s: %w", id, err)
	}

	switch {
	case run.State != core.StateFailedHolding || run.Hold == nil:
		return nil, fmt.Errorf("reaching the host of run %s: it is in %s", id, run.State)
	case !a.self.Contains(run.Hold.Addr):
		return nil, fmt.Errorf("reaching the host of run %s: %s is not on the test network %s", id, run.Hold.Addr, a.self.Masked())
	case a.netboot == nil:
		return nil, errors.New("reaching a held host: there is no test NIC")
	}

	dialer := net.Dialer{
		Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: nic.Bind(a.config.Netboot.Interface),
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.self.Addr(), 0)),
	}

	conn, err := dialer.DialContext(ctx, "tcp4", netip.AddrPortFrom(run.Hold.Addr, heldPort).String())
	if err != nil {
		return nil, fmt.Errorf("reaching the host of run %s: %w", id, err)
	}

	return conn, nil
}
