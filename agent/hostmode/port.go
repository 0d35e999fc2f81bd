package hostmode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"

	"vetting/agent/network"
	"vetting/core"
)

// Ports finds the machine's own ports: hardware, by the address that is burnt in
// where the driver tells it, since a bond gives one address to all.
func Ports(root fs.FS, permanent func(name string) core.MAC) map[string]core.MAC {
	ports := map[string]core.MAC{}

	for _, link := range network.Links(root) {
		ports[link.Name] = link.MAC
		if burnt := permanent(link.Name); strings.Trim(string(burnt), "0:") != "" { // some drivers tell of none by zeros
			ports[link.Name] = burnt
		}
	}

	return ports
}

// PortTo returns the name of the interface that reaches the appliance.
func PortTo(ctx context.Context, c Config) (string, error) {
	host, port := c.hostPort()

	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(host, port)) // sends nothing
	if err != nil {
		return "", fmt.Errorf("finding the way to %s: %w", host, err)
	}
	defer conn.Close() //nolint:errcheck // nothing was sent

	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return "", errors.New("finding the way to the appliance: no address of our own")
	}

	faces, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("listing interfaces: %w", err)
	}

	for _, face := range faces {
		addrs, err := face.Addrs()
		if err != nil {
			continue // gone by now
		}

		for _, addr := range addrs {
			if own, ok := addr.(*net.IPNet); ok && own.IP.Equal(local.IP) {
				return face.Name, nil
			}
		}
	}

	return "", fmt.Errorf("finding the way to %s: no interface has %s", host, local.IP)
}

// Primary picks the address that the machine is known by: that of the port under
// the interface that reaches the appliance, which may be a bridge, a bond or a
// VLAN, else the first; and the others.
func Primary(root fs.FS, face string, ports map[string]core.MAC) (mac core.MAC, others []core.MAC, err error) {
	names := make([]string, 0, len(ports))
	for name := range ports {
		names = append(names, name)
	}

	if len(names) == 0 {
		return "", nil, errors.New("this machine has no network port of its own")
	}

	slices.Sort(names)

	chosen := names[0]
	if below := lowest(root, face, ports, 0); below != "" {
		chosen = below
	}

	mac = ports[chosen]

	for _, name := range names {
		if other := ports[name]; other != mac && !slices.Contains(others, other) {
			others = append(others, other)
		}
	}

	return mac, others, nil
}

// lowest follows an interface down to a port of the machine.
func lowest(root fs.FS, face string, ports map[string]core.MAC, depth int) string {
	const deepest = 8 // VLAN on bridge on bond …

	if _, own := ports[face]; own || depth == deepest {
		if own {
			return face
		}

		return ""
	}

	entries, err := fs.ReadDir(root, path.Join("sys/class/net", face))
	if err != nil {
		return ""
	}

	for _, entry := range entries {
		if below, ok := strings.CutPrefix(entry.Name(), "lower_"); ok {
			if found := lowest(root, below, ports, depth+1); found != "" {
				return found
			}
		}
	}

	return ""
}

// PortWith returns the name of the port with an address; empty: none has it.
func PortWith(ports map[string]core.MAC, mac core.MAC) string {
	for name, own := range ports {
		if own == mac {
			return name
		}
	}

	return ""
}
