package problem

import "vetting/core"

// wires lists what happens to the network that the boot services are on.
func wires() []Entry {
	return []Entry{
		{
			"netboot/http-request", "An HTTP request could not be handled",
			"A request made the boot HTTP server fail; it goes on with the next.",
			"Report it with the address and the path of the log.", core.Warning,
		},
		{
			"netboot/no-cable", "No cable in the test network card",
			"The card has no carrier, or its network is still being looked at, so that no machine is answered.",
			"Plug the cable in, and switch on what is at its other end; the boot services start by themselves some seconds later.", core.Warning,
		},
		{
			"netboot/no-dhcp-server", "No DHCP server on the network",
			"In the mode proxy another server gives the addresses, and none answers.",
			"Switch that server on, or use the mode dhcp on a network of its own.", core.Warning,
		},
		{
			"netboot/other-appliance", "Another appliance is on the network",
			"Two appliances do not share a network: the one that serves goes on, and the one that came later does not begin.",
			"Stop one of them, or give each a network of its own.", core.Warning,
		},
		{
			"netboot/other-proxy", "Another proxy tells machines what to load",
			"Machines may take its word for ours; the appliance's offers are made to come first with most firmware.",
			"Turn that proxy off where machines load the wrong thing.", core.Warning,
		},
		{
			"netboot/rogue-gone", "The other DHCP server is gone",
			"A DHCP server that kept the appliance silent was not heard for a while.",
			"Nothing; start the runs again whose machines got no answer.", core.Info,
		},
	}
}
