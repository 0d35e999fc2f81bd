package kit

import (
	"fmt"
	"strconv"
	"strings"

	"vetting/agent/network"
	"vetting/agent/wire"
)

// Ports is the question which port machines under test hang on.
func Ports(links []network.Link) string {
	var out strings.Builder

	out.WriteString("\n  Which port do the machines under test hang on? It gets a DHCP server:\n  nothing else may be on that network.\n\n")

	for i, link := range links {
		state := "no link"
		if link.Carrier {
			state = "link"
		}

		fmt.Fprintf(&out, "  %3d  %-12s %s  %s\n", i+1, plain(link.Name), link.MAC, state)
	}

	if len(links) == 0 {
		out.WriteString("       this machine has no network port\n")
	}

	out.WriteString("    0  back\n\n")

	return out.String()
}

// Port reads the answer; ok is false for anything that is none, and the link without a
// name for "back".
func Port(text string, links []network.Link) (link network.Link, ok bool) {
	n, err := strconv.Atoi(text)

	switch {
	case err != nil || n < 0 || n > len(links):
		return link, false
	case n == 0:
		return link, true
	default:
		return links[n-1], true
	}
}

// mostMachines bounds the machines on a screen.
const mostMachines = 12

// qrWord asks for the QR code.
const qrWord = "q"

// rowsForAll is how many rows of a screen the QR code and the rest take together.
const rowsForAll = 45

// QR is the one-time link as a QR code, on a screen of its own; empty: there is none, or
// nobody has asked for it.
func QR(text string, s *wire.KitServing) string {
	if text != qrWord || s == nil || s.Link == "" || len(s.QR) == 0 {
		return ""
	}

	return strings.Join(s.QR, "\n") + "\n  " + plain(s.Link) + "\n"
}

// Serving is what stands on a screen of so many rows while a port is served; 0 rows:
// nobody knows.
func Serving(port string, s *wire.KitServing, rows int) string {
	var out strings.Builder

	out.WriteString("\n")

	if rows == 0 || rows >= rowsForAll {
		out.WriteString(strings.Join(s.QR, "\n") + "\n")
	}

	fmt.Fprintf(&out, "\n  Serving %s on %s. The stick must stay plugged in.\n  Console: %s\n", plain(s.Network), plain(port), plain(s.Console))

	if s.Key != "" {
		fmt.Fprintf(&out, "  its certificate, SHA-256: %s\n", plain(s.Key))
	}

	if s.Alone {
		out.WriteString("  ATTENTION: this machine has no other network with an address, so that the console\n" +
			"  is on the test network, where every machine under test reaches it. To go there,\n" +
			"  give your computer an address of that network by hand.\n")
	}

	if s.Link != "" {
		fmt.Fprintf(&out, "  Set the admin password here, once, within 30 minutes:\n  %s\n", plain(s.Link))
	}

	out.WriteString("\n  Machines on the test network")

	if len(s.Machines) == 0 {
		out.WriteString(": none was heard yet\n")
	} else {
		out.WriteString("; type a number to vet one (quick):\n")
	}

	for i, m := range s.Machines {
		if i == mostMachines {
			fmt.Fprintf(&out, "  ... and %d more in the console\n", len(s.Machines)-i)

			break
		}

		fmt.Fprintf(&out, "  %3d  %s  %-20s %s\n", i+1, plain(m.MAC), plain(m.Name), plain(m.State))
	}

	if s.Link != "" {
		out.WriteString("    q  the link as a QR code\n")
	}

	out.WriteString("    0  stop serving\n\n")

	return out.String()
}

// Machine reads an answer to it: the machine that is to be vetted, or stop.
func Machine(text string, s *wire.KitServing) (mac string, stop bool) {
	n, err := strconv.Atoi(text)

	switch {
	case err != nil || s == nil && n != 0 || n < 0:
		return "", false
	case n == 0:
		return "", true
	case n > min(len(s.Machines), mostMachines):
		return "", false
	default:
		return s.Machines[n-1].MAC, false
	}
}
