package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"vetting/initramfs"
	"vetting/netboot"
)

// ownFiles fetches the files of the boot image from the appliance that runs, by HTTP and by
// TFTP, as machines do.
func (c *checkup) ownFiles(ctx context.Context, card *net.Interface, self netip.Addr) {
	const check, patience = "own files", time.Minute

	image, err := initramfs.Open()

	switch {
	case err != nil:
		return // said already: there is nothing to hold against what comes
	case card.Flags&net.FlagRunning == 0:
		c.add(check, "warn", "not fetched: the boot services wait for a link on "+card.Name)

		return
	}

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	fetcher := netboot.OwnFiles(self, bootFiles(image))
	byHTTP, byTFTP := fetcher.Fetch(ctx)

	c.fetched("HTTP", fetcher.HTTP, &byHTTP)
	c.fetched("TFTP", fetcher.TFTP, &byTFTP)
}

// fetched judges what came of fetching our own files from a port.
func (c *checkup) fetched(way string, at netip.AddrPort, got *netboot.Fetched) {
	const mega = 1e6

	check := "own files by " + way
	from := map[string]string{"HTTP": "tcp", "TFTP": "udp"}[way] + " " + fmt.Sprint(at.Port()) + " of " + at.Addr().String()

	switch {
	case got.Err == nil:
		c.add(check, "ok", fmt.Sprintf("%d files, %.1f MB, arrive from %s as they are in this program, in %s; cable and firewall were not on the way",
			got.Files, float64(got.Bytes)/mega, from, got.Took.Round(10*time.Millisecond)))
	case errors.Is(got.Err, netboot.ErrUnanswered):
		c.add(check, "fail", got.Err.Error()+" ("+from+"). The appliance runs, but its boot services do not: vetting status says why. "+
			"Were doctor and the appliance given the same settings? Is lo up, and does no firewall shut it?")
	case errors.Is(got.Err, netboot.ErrOtherImage):
		c.add(check, "fail", got.Err.Error()+" ("+from+"): the appliance that runs is of another version than this program. Start it again, "+
			"or ask the program that it was started from")
	case errors.Is(got.Err, netboot.ErrAltered):
		c.add(check, "fail", got.Err.Error()+" ("+from+"). Start the appliance again; if it comes back, test the memory of this machine, and look for what "+
			"changes packets on lo")
	default:
		c.add(check, "fail", got.Err.Error()+" ("+from+")")
	}
}
