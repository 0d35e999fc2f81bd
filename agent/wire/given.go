package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Given is what a boot medium for one appliance says of it, on the kernel's command
// line. The zero value: nothing, and all comes by DHCP.
type Given struct {
	Server netip.Addr   // the appliance; not valid: whoever gives the address
	Addr   netip.Prefix // the machine's own, for which nobody is asked; not valid: by DHCP
}

// Arguments of the kernel that say it.
const (
	urlArgument     = "vetting.url="
	addressArgument = "vetting.address="
)

// GivenBy reads the kernel's command line.
func GivenBy(cmdline string) (g Given, err error) {
	for word := range strings.FieldsSeq(cmdline) {
		switch {
		case strings.HasPrefix(word, urlArgument):
			g.Server, err = serverOf(strings.TrimPrefix(word, urlArgument))
		case strings.HasPrefix(word, addressArgument):
			g.Addr, err = netip.ParsePrefix(strings.TrimPrefix(word, addressArgument))
		default:
			continue
		}

		if err != nil {
			return Given{}, fmt.Errorf("reading %.80q: %w", word, err)
		}
	}

	if err := g.validate(); err != nil {
		return Given{}, err
	}

	return g, nil
}

// serverOf reads the address of an appliance: there is no resolver in the image.
func serverOf(text string) (netip.Addr, error) {
	where, err := url.Parse(text)
	if err != nil {
		return netip.Addr{}, err
	}

	if where.Scheme != "https" || where.Port() != "" || where.Path != "" && where.Path != "/" {
		return netip.Addr{}, errors.New("it is not https:// and an IP address")
	}

	return netip.ParseAddr(where.Hostname())
}

// validate says what is missing or cannot be.
func (g Given) validate() error {
	switch {
	case !g.Addr.IsValid():
		return nil
	case !g.Server.IsValid():
		return errors.New("an address is of use with the URL of the appliance alone")
	case !g.Addr.Addr().Is4() || !g.Server.Is4() || g.Addr.Addr() == g.Server || !g.Addr.Contains(g.Server):
		return fmt.Errorf("%s and the appliance %s must be two IPv4 addresses of one network", g.Addr, g.Server)
	default:
		return nil
	}
}
