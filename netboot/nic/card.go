package nic

import (
	"fmt"
	"net"

	"vetting/core"
)

// Find returns the card.
func Find(iface string) (*net.Interface, error) {
	card, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, core.NewProblem(core.ErrNotFound, "netboot/no-card",
			fmt.Sprintf("there is no network card named %q; `ip link` lists those there are", iface))
	}

	return card, nil
}
