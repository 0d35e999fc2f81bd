package problem

import (
	"slices"

	"vetting/core"
)

// What is to be done about most findings of the Network stage.
const (
	nextCable = "Replace the cable of {part}, then its transceivers, then try another port of the switch; replace the card if it stays with it."
	nextRetry = "Look at the evidence and the appliance's log, then retry the stage."
)

// networks lists the codes of the Network stage.
func networks() []Entry {
	return slices.Concat(networkTests(), networkLinks(), networkOptics(), networkRates(), networkLoops(), networkPackets())
}

// networkTests lists why a port was not tested, or not to the end.
func networkTests() []Entry {
	return []Entry{
		{
			"network/nothing-tested", "No network port was tested",
			"Nothing is known about the machine's network.", "Cable a port to the test network; look at the evidence, then retry the stage.", core.Critical,
		},
		{
			"network/port-untested", "A port with a link was NOT tested",
			"It is cabled, but not to where the appliance is: nothing is known about it but its link.",
			"Cable {part} to the test network, or declare the skip; then retry the stage.", core.Warning,
		},
		{
			"network/canary-missed", "A planted fault was not found",
			"A frame was altered on purpose and passed for a good one: the test would see nothing.", nextRetry, core.Critical,
		},
		{
			"network/stalled", "The traffic came to a standstill",
			"The connection was there and nothing moved any more; whose fault it is, is not known.",
			"Look at the port's lamps at both ends and at the appliance's log, then retry the stage; if it comes back on this host alone, replace the cable, then the card of {part}.", core.Critical,
		},
		{
			"network/partner-away", "The appliance's partner could not be reached",
			"Without it a port cannot be tested.",
			"Look into the appliance's log; let the port of traffic.port through its firewall; retry the stage.", core.Critical,
		},
		{
			"network/broken-off", "A network test broke off",
			"A connection ended before its time.", nextRetry, core.Critical,
		},
	}
}

// networkLinks lists what is wrong with links and what they carried.
func networkLinks() []Entry {
	return []Entry{
		{
			"network/corruption", "Data was altered on the network",
			"What came was not what was sent, and no checksum of the network noticed: card, its offloading, or the machine's memory.",
			"Replace the network card of {part}; if it stays, run Memory again.", core.Critical,
		},
		{
			"network/speed", "A link is slower than expected",
			"It was to have another speed.", nextCable, core.Critical,
		},
		{
			"network/speed-fell", "A link became slower during its test",
			"It was negotiated anew under load: a marginal cable or transceiver.", nextCable, core.Critical,
		},
		{
			"network/below-capability", "A link is slower than the port can be",
			"The other end is slower, or a pair of the cable is broken.",
			"If the switch port of {part} is no slower by design, replace the cable; set Network.expect_mbps for the host or its class to have it judged.", core.Warning,
		},
		{
			"network/half-duplex", "A link sends and receives by turns only",
			"One end negotiates and the other does not.", "Set both ends of {part} to negotiate; replace the cable if they are.", core.Critical,
		},
		{
			"network/flap", "A link went down during its test",
			"A link that is not touched stays up.", nextCable, core.Critical,
		},
		{
			"network/errors", "A port counted damaged frames",
			"More than one error in 10¹² bits is no healthy link; less is still to be looked at.", nextCable, core.Warning,
		},
		{
			"network/no-room", "Frames came faster than the machine took them",
			"Neither cable nor card is to blame: the machine had no room for them.", "Nothing is to be done; it is told since it takes away from the rates.", core.Info,
		},
	}
}

// networkOptics lists what ports and transceivers say of themselves.
func networkOptics() []Entry {
	return []Entry{
		{
			"network/self-test-failed", "A port failed its own self-test",
			"The adapter's driver tested registers, memory, interrupts or a loop in the port, twice, and found them wrong.",
			"Reseat the adapter of {part} and retry the stage; replace it if it fails again.", core.Critical,
		},
		{
			"network/optics-alarm", "A transceiver is beyond its own limits",
			"Light, current, voltage or temperature is where its maker raises an alarm.",
			"Clean the connectors of {part}, then replace the fibre, then the transceiver at either end.", core.Critical,
		},
		{
			"network/optics-warning", "A transceiver is near its own limits",
			"Light, current, voltage or temperature is where its maker warns.",
			"Clean the connectors of {part}; have a transceiver ready.", core.Warning,
		},
		{
			"network/optics-fault", "A transceiver reports a fault of its own",
			"It says that its laser, or the whole module, does not do what it should, under load or for good.",
			"Reseat the transceiver of {part}, then replace it.", core.Critical,
		},
		{
			"network/optics-signal", "A transceiver reports a lost signal",
			"Light or clock was lost in a lane under load, or is missing for good, though the link is up.",
			"Clean the connectors of {part}, then replace the fibre or cable, then the transceiver at either end.", core.Warning,
		},
	}
}

// networkRates lists what ports and hosts were measured to be too slow for.
func networkRates() []Entry {
	return []Entry{
		{
			"network/slow", "A port is slower than its link",
			"It was measured against what the appliance's side left of the rate.",
			nextCable, core.Warning,
		},
		{
			"network/limited-by-appliance", "A port could not show all it can: limited by appliance",
			"The appliance's own link, its CPU or other hosts were in the way; the port is not judged beyond that.",
			"Test the host while no other is tested, or with a faster test NIC.", core.Info,
		},
		{
			"network/pair-slow", "Two hosts are slower together than their links",
			"They were measured with each other, since the appliance was in the way; which of both is slow, or whether the switch is, is not known.",
			"Test {part} with a third host, or alone with a faster test NIC; then replace the cable, then the card of the one that stays slow.", core.Warning,
		},
		{
			"network/pair-corruption", "Data was altered between two hosts",
			"What came was not what was sent, and the appliance saw nothing of the kind: one of both hosts, or the switch, does it under full load.",
			"Test {part} with a third host: the one that alters data with both is the bad one. Then replace its network card.", core.Critical,
		},
	}
}

// networkLoops lists what comes of ports that are tested with each other.
func networkLoops() []Entry {
	return []Entry{
		{
			"network/loop-untested", "Ports were NOT tested with each other",
			"It was asked for, and their cables do not lead to each other, or not both ways.",
			"Cable {part} to the same network as another port of the host, or to that port itself; or set Network.self_loop to never for the host.", core.Info,
		},
		{
			"network/loop-broken", "A test of two ports with each other broke off",
			"Both heard each other, and then the connection between them ended or stood still; whose fault it is, is not known.", nextRetry, core.Critical,
		},
		{
			"network/loop-corruption", "Data was altered between two ports of the host",
			"What came was not what was sent, and no checksum of the network noticed; both ends are of this host.",
			"Replace the network card of {part}, then that of the other port; if it stays, run Memory again.", core.Critical,
		},
		{
			"network/loop-slow", "Two ports of the host are slower together than their links",
			"They were measured with each other, through the switch or a cable; which of both is slow, or whether what lies between them is, is not known.",
			"Look for a slower link between the switches of both ports; then replace the cable of {part}, then its card.", core.Warning,
		},
		{
			"network/loop-link-lost", "A link did not come back",
			"A port was switched off and on to be tested with another one, and has no link since.", nextCable, core.Critical,
		},
		{
			"network/loop-not-restored", "A port was not brought back",
			"It was moved into a network namespace to be tested, and not all is where it was before.",
			"Boot the host anew and retry the stage; collect a support bundle if it comes back.", core.Critical,
		},
	}
}

// networkPackets lists what became of single packets.
func networkPackets() []Entry {
	return []Entry{
		{
			"network/udp-loss", "Datagrams were lost",
			"At 80 % of what there is, a sound network loses none.", nextCable, core.Warning,
		},
		{
			"network/retransmits", "TCP had to send much again",
			"Segments were lost or damaged on their way.", nextCable, core.Warning,
		},
		{
			"network/latency", "Datagrams take long there and back",
			"More than a millisecond on a network without load.",
			"Look for power saving of CPU and card and for what lies between {part} and the appliance.", core.Warning,
		},
	}
}
