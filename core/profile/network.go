package profile

import "time"

// The configuration keys of the Network stage.
const (
	// NetworkDuration is how long each direction of a port is tested, and both together.
	NetworkDuration = "Network.duration"
	// NetworkStreams is how many streams go at once in each direction.
	NetworkStreams = "Network.streams"
	// NetworkUDP is how many Mbit/s of datagrams are sent at most, at 80 % of what there is;
	// 0: none.
	NetworkUDP = "Network.udp_mbps"
	// NetworkExpect is what speed each link must have at least, in Mbit/s; 0: whatever it
	// has. It is for classes and hosts.
	NetworkExpect = "Network.expect_mbps"
	// NetworkPair says when a port is measured with another machine in the same stage as
	// well: auto (the appliance was too slow for it), always, never.
	NetworkPair = "Network.pair"
	// NetworkSelfTest is which of its own tests a port's driver does: "online" those that
	// disturb nothing; "offline" all, on ports other than the one that the machine booted
	// from, whose links go down meanwhile; "none".
	NetworkSelfTest = "Network.self_test"
	// NetworkSelfLoop says whether ports of the machine are measured with each other as
	// well, through their cables and what lies between: never, always. Links other than that
	// of the port that the machine booted from go down meanwhile.
	NetworkSelfLoop = "Network.self_loop"
)

func networkPlan() []row {
	return []row{
		{NetworkDuration, tiers{"60s", "10m", "60m"}},
		{NetworkStreams, tiers{"4", "4", "4"}},
		{NetworkUDP, tiers{"1000", "1000", "1000"}},
		{NetworkExpect, tiers{"0", "0", "0"}},
		{NetworkPair, tiers{"auto", "auto", "auto"}},
		{NetworkSelfTest, tiers{"online", "offline", "offline"}},
		{NetworkSelfLoop, tiers{"never", "never", "never"}},
	}
}

func networkSettings() map[string]setting {
	return map[string]setting{
		NetworkDuration: duration(2 * time.Hour), NetworkStreams: whole(1, 16), NetworkUDP: whole(0, 100_000), NetworkExpect: whole(0, 1_000_000),
		NetworkPair: oneOf("auto", "always", "never"), NetworkSelfTest: oneOf("none", "online", "offline"),
		NetworkSelfLoop: oneOf("never", "always"),
	}
}
