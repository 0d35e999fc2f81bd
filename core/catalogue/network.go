package catalogue

// network are the figures of the Network stage. The part is a port, by its name.
func network() []Entry {
	return []Entry{
		{"nic", "sent_mbps", "mbps", false, "Mbit a second that a port sent to the appliance by TCP, verified"},
		{"nic", "received_mbps", "mbps", false, "Mbit a second that it received from it, verified"},
		{"nic", "sent_together_mbps", "mbps", false, "Mbit a second sent while receiving"},
		{"nic", "received_together_mbps", "mbps", false, "Mbit a second received while sending"},
		{"nic", "pair_sent_mbps", "mbps", false, "Mbit a second that it sent to another machine, verified"},
		{"nic", "pair_received_mbps", "mbps", false, "Mbit a second that it received from another machine, verified"},
		{"nic", "loop_sent_mbps", "mbps", false, "Mbit a second that it sent to another port of the machine, verified"},
		{"nic", "loop_received_mbps", "mbps", false, "Mbit a second that it received from another port of the machine, verified"},
		{"nic", "udp_lost_percent", "percent", false, "share of datagrams that the network lost"},
		{"nic", "udp_jitter_us", "us", false, "jitter of datagrams (RFC 3550)"},
		{"nic", "retransmitted_percent", "percent", false, "share of TCP segments that were sent again"},
		{"nic", "rtt_p50_us", "us", false, "time there and back that half of the datagrams kept, without load"},
		{"nic", "rtt_p99_us", "us", false, "time that 99 of 100 kept, without load"},
		{"nic", "rtt_loaded_p99_us", "us", false, "time that 99 of 100 kept, with both directions busy"},
		{"nic", "module_celsius", "celsius", false, "temperature of a port's transceiver"},
		{"nic", "module_volts", "volts", false, "supply voltage of a port's transceiver"},
		{"nic", "received_light_milliwatts", "milliwatts", false, "light that its darkest lane receives"},
		{"nic", "sent_light_milliwatts", "milliwatts", false, "light that its darkest lane sends"},
		{"nic", "laser_milliamperes", "milliamperes", false, "current of its hardest working laser"},
		{"nic", "fec_corrected_count", "count", false, "blocks that forward error correction mended"},
		{"nic", "fec_uncorrectable_count", "count", false, "blocks that forward error correction could not mend"},
		{"nic", "bad_frames_count", "count", true, "frames that were not what was sent"},
	}
}
