package main

import (
	"context"
	"errors"
	"io/fs"
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

// olderWalls looks at the kernel's older filter, which nft does not list.
func (c *checkup) olderWalls(ctx context.Context, card string, mode netboot.Mode) {
	const patience = 10 * time.Second

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	for _, family := range []struct {
		tables, program string
		six             bool
	}{
		{"/proc/net/ip_tables_names", "iptables-legacy-save", false},
		{"/proc/net/ip6_tables_names", "ip6tables-legacy-save", true},
	} {
		tables, err := os.ReadFile(family.tables)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(tables) == 0 {
			continue // the filter is not in use
		}

		program, errProgram := exec.LookPath(family.program)
		if errProgram != nil {
			program = "/usr/sbin/" + family.program
		}

		var rules []byte
		if err == nil {
			rules, err = exec.CommandContext(ctx, program).Output() //nolint:gosec // the program that the system has
		}

		c.olderWall(card, mode, family.program, family.six, rules, err)
	}
}

// olderWall judges what such a program has said.
func (c *checkup) olderWall(card string, mode netboot.Mode, program string, six bool, rules []byte, err error) {
	const check = "older firewall"

	shut := firewall.JudgeLegacy(rules, six, card, doors(mode))

	switch {
	case err != nil && os.Geteuid() != 0:
		c.add(check, "warn", "its rules can be read by root alone; say: sudo vetting doctor")
	case err != nil:
		c.add(check, "warn", "there are tables of iptables-legacy, and their rules cannot be listed by "+program+": "+err.Error())
	case len(shut) == 0:
		c.add(check, "ok", "no rule that "+program+" lists is sure to keep machines on "+card+" away from the boot services")
	default:
		c.add(check, "fail", "packets from "+card+" are dropped: "+shutBy(shut)+". Let them in there, for example: "+
			strings.TrimSuffix(program, "-save")+" -I INPUT -i "+card+" -j ACCEPT")
	}
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

	c.add(check, "fail", "packets from "+card+" are dropped: "+shutBy(shut)+". Let them in there, for example: nft insert rule FAMILY TABLE CHAIN iifname "+card+" accept")
}

// shutBy lists the doors that are shut, by what shuts them.
func shutBy(shut []firewall.Drop) string {
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

	return strings.Join(said, "; ")
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
