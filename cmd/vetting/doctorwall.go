package main

import (
	"context"
	"errors"
	"os"
	"os/exec" //nolint:depguard // a person asked what is wrong; the appliance itself starts no programs
	"strings"
	"time"

	"vetting/netboot"
	"vetting/netboot/firewall"
)

// walls looks at whether this machine's own firewall keeps machines away from the boot
// services.
func (c *checkup) walls(ctx context.Context, card string, mode netboot.Mode) {
	const patience = 10 * time.Second

	nft, err := exec.LookPath("nft")
	if err != nil {
		if nft = "/usr/sbin/nft"; !readable(nft) {
			c.wall(card, mode, nil, errNoNft)

			return
		}
	}

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	rules, err := exec.CommandContext(ctx, nft, "-j", "list", "ruleset").Output() //nolint:gosec // the program that the system has
	c.wall(card, mode, rules, err)
}

var errNoNft = errors.New("nft is not installed")

// wall judges what nft has said.
func (c *checkup) wall(card string, mode netboot.Mode, rules []byte, err error) {
	const check = "firewall"

	exit, refused := errors.AsType[*exec.ExitError](err)

	switch {
	case errors.Is(err, errNoNft):
		c.add(check, "ok", "nft is not installed: rules, if there are any, were not looked at")

		return
	case refused && os.Geteuid() != 0:
		c.add(check, "warn", "its rules can be read by root alone; say: sudo vetting doctor")

		return
	case refused:
		c.add(check, "warn", "nft cannot list the rules: "+strings.TrimSpace(string(exit.Stderr)))

		return
	case err != nil:
		c.judge(check, "", err)

		return
	}

	shut, err := firewall.Judge(rules, card, doors(mode))
	if err != nil {
		c.judge(check, "", err)

		return
	}

	if len(shut) == 0 {
		c.add(check, "ok", "no rule of nft is sure to keep machines on "+card+" away from the boot services")

		return
	}

	var (
		names []string
		by    = map[string][]string{}
	)

	for _, s := range shut {
		if by[s.By] == nil {
			names = append(names, s.By)
		}

		by[s.By] = append(by[s.By], s.Door.String())
	}

	said := make([]string, 0, len(names))
	for _, name := range names {
		said = append(said, strings.Join(by[name], ", ")+" by "+name)
	}

	c.add(check, "fail", "packets from "+card+" are dropped: "+strings.Join(said, "; ")+". Let them in there, for example: nft insert rule FAMILY TABLE CHAIN iifname "+card+" accept")
}

// doors are the ports that machines come to in a mode.
func doors(mode netboot.Mode) []firewall.Door {
	var all []firewall.Door
	for _, port := range netboot.Ports(mode) {
		all = append(all, firewall.Door{Protocol: port.Network, Port: int(port.Number)})
	}

	if mode == netboot.ModeDHCP {
		all = append(all, firewall.Door{Protocol: "udp", Port: 547, Six: true}, firewall.Door{Protocol: "udp", Port: 69, Six: true})
	}

	return all
}
