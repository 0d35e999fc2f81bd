package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting/operator"
	"vetting/core"
	"vetting/initramfs"
	"vetting/netboot"
	"vetting/netboot/nic"
	"vetting/netboot/trial"
)

// symptom is what doctor found out about one thing that the appliance needs.
type symptom struct {
	Check  string `json:"check"`
	Result string `json:"result"` // "ok", "warn" or "fail"
	Detail string `json:"detail"`
}

// checkup is what doctor found out.
type checkup struct {
	Checks []symptom `json:"checks"`
}

func (c *checkup) add(check, result, detail string) {
	c.Checks = append(c.Checks, symptom{check, result, detail})
}

// judge adds ok, or what the error says.
func (c *checkup) judge(check, good string, err error) {
	var problem *core.Problem

	switch {
	case err == nil:
		c.add(check, "ok", good)
	case errors.As(err, &problem):
		c.add(check, "fail", problem.Message)
	default:
		c.add(check, "fail", err.Error())
	}
}

// doctorCommand looks at what serve needs before it is started, or while it runs.
// It changes nothing but for a file that it makes in the data directory and removes,
// and, when told to, what mend.go mends.
func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at whether this machine has what the appliance needs; changes nothing unless told to", Args: noArgs,
		Long: "Looks at the configuration and its secrets, the boot image, the rights of this program, the data directory and its disk,\n" +
			"the clock, the test NIC, its address, ports and firewall, and the console's address and certificate. Where no appliance runs, it asks the test\n" +
			"network for 4 s whether there are other DHCP servers, other appliances, another user of our address, or spanning tree, as serve does.\n" +
			"Where one runs, it fetches every file of the boot image from it, by HTTP and TFTP, and compares it with its own.\n" +
			"With --deep also at the ledger, the notifiers and the hosts' management controllers, which may take minutes.\n" +
			"Give it the same flags and the same user as serve.",
	}
	fix := cmd.Flags().Bool("fix", false, "mend what can be mended without asking: owners and modes of files in the data directory; takes root")
	deep := cmd.Flags().Bool("deep", false, "also look at what takes its time: the ledger, the notifiers (nothing is sent), the hosts' management controllers (logs in, switches nothing)")
	plain := cmd.Flags().Bool("json", false, "the same as -o json")
	show := operator.Lister(cmd, c.out, "checks", "check result detail", "check")

	settingFlags(cmd)

	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *plain {
			if err := cmd.Flags().Set("output", "json"); err != nil {
				return &usageError{err}
			}
		}

		found := c.examineMachine(cmd, *fix, *deep)
		if err := show(found); err != nil {
			return err
		}

		for _, one := range found.Checks {
			if one.Result == "fail" {
				return errors.New("the appliance cannot run like this; see what failed")
			}
		}

		return nil
	}

	return cmd
}

func (c *cli) examineMachine(cmd *cobra.Command, fix, deep bool) *checkup {
	found := &checkup{}

	config, source, err := c.load(cmd)
	if err != nil {
		found.judge("configuration", "", err)

		return found // nothing else is known
	}

	if err := source.withSettled(cmd.Context(), &config); err != nil {
		found.add("set in the console", "warn", withoutText(err))
	}

	if source.file == "" {
		found.add("configuration", "ok", "defaults, flags and environment; there is no file")
	} else {
		found.judge("configuration", source.file, nil)
	}

	found.judge("secrets", "each can be read", config.checkSecrets())
	found.judge("boot image", "whole", bootImage())
	found.judge("rights", "this program has them all", nic.Check())
	found.judge("data directory", config.DataDir, writable(config.DataDir))
	found.keeping(config.DataDir, fix)
	found.room(config.DataDir)
	found.clock(time.Now())
	found.card(config.Netboot)
	found.network(cmd.Context(), &config)
	found.console(cmd.Context(), &config)

	if deep {
		found.deep(cmd.Context(), &config)
	}

	found.machines(trial.BIOS.Missing(), trial.Accelerator())

	return found
}

// machines says how virtual ones are played here, which only trials and the demo need.
func (c *checkup) machines(missing error, accelerator string) {
	const check = "virtual machines"

	var lacking *core.Problem

	switch {
	case errors.As(missing, &lacking):
		c.add(check, "ok", "none can be played, which only vetting netboot test and the demo need. "+lacking.Message)
	case accelerator == "kvm":
		c.add(check, "ok", "/dev/kvm runs them at full speed")
	default:
		c.add(check, "ok", "without /dev/kvm they are emulated: a trial takes minutes instead of seconds")
	}
}

func bootImage() error {
	image, err := initramfs.Open()
	if err == nil {
		err = image.Verify()
	}

	return err
}

// writable makes a file in a directory, or finds that the directory can be made.
func writable(dir string) error {
	for {
		file, err := os.CreateTemp(dir, ".doctor-")
		if err == nil {
			return errors.Join(file.Close(), os.Remove(file.Name()))
		}

		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent // serve makes what is missing

			continue
		}

		return fmt.Errorf("nothing can be written: %w", err)
	}
}

// card looks at the test NIC.
func (c *checkup) card(config NetbootConfig) {
	const check = "test NIC"

	if config.Interface == "" {
		c.add(check, "warn", "none is named, so no machine is answered; choose one in the console, with --interface NAME, or as netboot.interface in the file")

		return
	}

	card, err := nic.Find(config.Interface)
	if err != nil {
		c.judge(check, "", err)

		return
	}

	theirs, err := keepsOff(config)

	switch {
	case err != nil:
		c.judge(check, "", err)
	case theirs:
		c.add(check, "fail", config.Interface+" holds the default route: it is a network of others; take another card, serve beside its DHCP server "+
			"with netboot.mode: proxy, or say --i-own-this-network")
	case card.Flags&net.FlagRunning == 0:
		c.add(check, "warn", config.Interface+" has no link; is the cable in?")
	default:
		c.add(check, "ok", config.Interface+" has a link; our address there is "+config.Subnet)
	}
}

// keepsOff reports whether a card is left alone, by the rule of the boot services.
func keepsOff(config NetbootConfig) (bool, error) {
	mode, err := netboot.ParseMode(config.Mode)
	if err != nil {
		return false, fmt.Errorf("netboot.%w", err)
	}

	return netboot.Foreign(config.Interface, mode, config.OwnNetwork)
}

// network looks at what the boot services need on the test NIC, and at what else is there.
func (c *checkup) network(ctx context.Context, config *Config) {
	card, err := nic.Find(config.Netboot.Interface)
	if config.Netboot.Interface == "" || err != nil {
		return // said already
	}

	prefix, errPrefix := netip.ParsePrefix(config.Netboot.Subnet)
	mode, errMode := netboot.ParseMode(config.Netboot.Mode)

	if errPrefix != nil || errMode != nil {
		return // the configuration is wrong, which is said already
	}

	c.address(card.Name, prefix)
	c.walls(ctx, card.Name, mode)
	c.olderWalls(ctx, card.Name, mode)

	if runsOn(ctx, config.DataDir) {
		c.add("ports", "ok", "the appliance runs and has them")
		c.ownFiles(ctx, card, prefix.Addr())

		return
	}

	var taken error
	for _, port := range netboot.Ports(mode) {
		taken = errors.Join(taken, port.Free(ctx, card.Name))
	}

	c.judge("ports", "those of the boot services and of the agents are free on "+card.Name, taken)
	c.six(ctx, card.Name, mode)

	if card.Flags&net.FlagRunning == 0 || card.Flags&net.FlagLoopback != 0 || len(card.HardwareAddr) != 6 || nic.Check() != nil {
		return // nobody can be heard there
	}

	c.surroundings(ctx, card.Name, prefix, mode)
}

// six looks at the port of IPv6, without which all is served but for firmware whose boot
// order comes to it.
func (c *checkup) six(ctx context.Context, card string, mode netboot.Mode) {
	if mode != netboot.ModeDHCP {
		return
	}

	const check = "ports of IPv6"

	if err := netboot.FreeSix(ctx, card); err != nil {
		c.add(check, "warn", err.Error()+". Firmware whose boot order comes to IPv6 waits for about a minute")

		return
	}

	c.add(check, "ok", "those of DHCPv6 and TFTP are free on "+card)
}

// address says whether the test NIC has our address, or can be given it.
func (c *checkup) address(card string, prefix netip.Prefix) {
	const check = "address"

	holding, err := nic.Holds(card, prefix)
	rights, errRights := nic.Held()

	switch {
	case err != nil || errRights != nil:
		c.judge(check, "", errors.Join(err, errRights))
	case holding != nic.Nothing:
		c.add(check, "ok", card+" has "+prefix.String())
	case rights.Admin:
		c.add(check, "ok", prefix.String()+" is given to "+card+" while the appliance serves")
	default:
		c.add(check, "fail", card+" does not have "+prefix.String()+", and giving it takes CAP_NET_ADMIN")
	}
}

// surroundings looks at who else is on the network, as serve does before it answers anybody.
func (c *checkup) surroundings(ctx context.Context, card string, prefix netip.Prefix, mode netboot.Mode) {
	const listen = 4 * time.Second // two of a switch's announcements

	found, err := netboot.Look(ctx, card, prefix.Addr(), listen)
	if err != nil {
		c.judge("other DHCP servers", "", err)

		return
	}

	if found.Fellows != "" {
		c.add("other appliances", "fail", found.Fellows+"; stop one of them, or take another card")
	} else {
		c.add("other appliances", "ok", "none answers")
	}

	switch {
	case found.Servers != "" && mode == netboot.ModeDHCP:
		c.add("other DHCP servers", "fail", found.Servers+"; turn that one off, take another card, or say netboot.mode: proxy")
	case found.Servers == "" && mode != netboot.ModeDHCP:
		c.add("other DHCP servers", "warn", "none answers, and in this mode the appliance gives no addresses")
	case found.Proxies != "":
		c.add("other DHCP servers", "warn", "a proxy tells machines what to load, too: "+found.Proxies)
	case found.Servers != "":
		c.add("other DHCP servers", "ok", found.Servers+" gives the addresses")
	default:
		c.add("other DHCP servers", "ok", "none answers")
	}

	switch {
	case found.User != "":
		c.add("our address", "fail", prefix.Addr().String()+" is used by "+string(found.User))
	default:
		c.add("our address", "ok", "nobody else uses "+prefix.Addr().String())
	}

	if found.Deaf > 0 {
		c.add("spanning tree", "warn", fmt.Sprintf("the switch passes nothing for %s after a cable is plugged in or a driver starts; make the machines' ports edge ports (portfast)", found.Deaf))
	} else {
		c.add("spanning tree", "ok", "none was heard")
	}
}

// console looks at where people would reach the appliance.
func (c *checkup) console(ctx context.Context, config *Config) {
	if runsOn(ctx, config.DataDir) {
		c.add("console", "ok", "the appliance runs; ask it with: vetting status")
	} else {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Console.Listen)
		if err == nil {
			err = listener.Close()
		}

		c.judge("console", config.Console.Listen+" is free", err)
	}

	c.certificates(config, time.Now())
}

// runsOn reports whether an appliance runs on a data directory.
func runsOn(ctx context.Context, dir string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, controlSocket))
	if err == nil {
		err = conn.Close()
	}

	return err == nil
}
