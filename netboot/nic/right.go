package nic

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vetting/core"
)

// Rights are the capabilities (capabilities(7)) that serving on a card takes.
type Rights struct {
	Ports bool // CAP_NET_BIND_SERVICE: ports below 1024
	Raw   bool // CAP_NET_RAW: ARP, router solicitations, the search for other DHCP servers
	Admin bool // CAP_NET_ADMIN: give the card its address, take it up
}

// Held returns the rights of this process.
func Held() (Rights, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Rights{}, fmt.Errorf("reading our capabilities: %w", err)
	}

	return parseRights(string(status))
}

func parseRights(status string) (Rights, error) {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}

		bits, err := strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
		if err != nil {
			return Rights{}, fmt.Errorf("reading our capabilities: %w", err)
		}

		return Rights{
			Ports: bits>>unix.CAP_NET_BIND_SERVICE&1 == 1,
			Raw:   bits>>unix.CAP_NET_RAW&1 == 1,
			Admin: bits>>unix.CAP_NET_ADMIN&1 == 1,
		}, nil
	}

	return Rights{}, fmt.Errorf("reading our capabilities: no CapEff in /proc/self/status")
}

// Missing says that doing what needs a right this process does not have, which
// ones are lacking, and how to grant them.
func Missing(what string) error {
	held, err := Held()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}

	lacking := held.lacking()
	if lacking == "" {
		lacking = "none of ours; a container or a security module forbids it"
	}

	program, err := os.Executable()
	if err != nil {
		program = "vetting"
	}

	return core.NewProblem(core.ErrRefused, "netboot/missing-capability", fmt.Sprintf(
		"%s is not allowed. Missing: %s. Grant with: sudo setcap cap_net_bind_service,cap_net_raw,cap_net_admin+ep %s "+
			"(or AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_NET_ADMIN in the systemd unit, "+
			"or docker run --network host --cap-add NET_BIND_SERVICE --cap-add NET_RAW --cap-add NET_ADMIN, or run as root)",
		what, lacking, program))
}

func (r Rights) lacking() string {
	var names []string

	for _, c := range []struct {
		held bool
		name string
	}{{r.Ports, "CAP_NET_BIND_SERVICE"}, {r.Raw, "CAP_NET_RAW"}, {r.Admin, "CAP_NET_ADMIN"}} {
		if !c.held {
			names = append(names, c.name)
		}
	}

	return strings.Join(names, ", ")
}

// Check returns an error when this process may not open low ports or packet
// sockets. The right to change the card's address is not needed when it has it.
func Check() error {
	held, err := Held()
	if err != nil {
		return err
	}

	if !held.Ports && lowestPort() > 67 || !held.Raw {
		return Missing("answering machines on the test network")
	}

	return nil
}

// lowestPort is the lowest port that needs no right (sysctl ip_unprivileged_port_start).
func lowestPort() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return 1024
	}

	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 1024
	}

	return n
}
