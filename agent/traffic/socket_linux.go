package traffic

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"vetting/agent/partner/socket"
)

// Through returns a dialler whose connections go through a port and no other, with
// its address.
func Through(name string, addr netip.Addr) func(ctx context.Context, network, to string) (net.Conn, error) {
	return func(ctx context.Context, network, to string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: dialTime, Control: socket.Through(name)}

		if addr.IsValid() && network == "tcp" {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
		} else if addr.IsValid() {
			dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
		}

		return dialer.DialContext(ctx, network, to)
	}
}

// Listen takes connections that come over a port, to an address of it.
func Listen(ctx context.Context, name, addr string) (net.Listener, error) {
	config := net.ListenConfig{Control: socket.Through(name)}

	ln, err := config.Listen(ctx, "tcp4", net.JoinHostPort(addr, "0"))
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", name, err)
	}

	return ln, nil
}

const dialTime = 10 * time.Second
