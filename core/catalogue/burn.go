package catalogue

// traffic is how fast disks and network ports went while everything was at work.
func traffic() []Entry {
	return []Entry{
		{"disk", "read_mibps", "mibps", false, "MiB a second that were read from a drive by a test"},
		{"nic", "partner_mbps", "mbps", false, "Mbit a second exchanged with the appliance, both ways together, while an exchange was under way"},
	}
}
