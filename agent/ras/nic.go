package ras

import (
	"io/fs"
	"path"
	"regexp"

	"vetting/core"
)

const netDevices = "sys/class/net"

// damage matches what drivers call their counters of damaged frames and bad
// links. Names are each driver's own; counters of frames that were dropped for
// want of room say nothing about the hardware.
const damage = `(?i)(^|[_.])(crc|fcs|symbol|align\w*|fec_uncorr\w*|discards_phy|jabber\w*|undersize\w*)`

// nics reads the counters of the network ports that are hardware.
func (m Machine) nics() (counters []Counter) {
	entries, err := fs.ReadDir(m.Root, netDevices)
	if err != nil {
		return nil
	}

	named := regexp.MustCompile(damage)

	for _, entry := range entries {
		dir := path.Join(netDevices, entry.Name())
		if _, err := fs.Stat(m.Root, dir+"/device"); err != nil {
			continue // lo, bridges, tunnels
		}

		part := core.Part{Kind: "nic", Slot: entry.Name()}

		for _, name := range []string{"rx_errors", "rx_crc_errors", "rx_frame_errors", "rx_length_errors", "tx_errors", "tx_carrier_errors"} {
			if n, ok := m.number(dir + "/statistics/" + name); ok {
				counters = append(counters, Counter{Kind: NICErrors, Name: entry.Name() + "/" + name, Part: part, Value: n})
			}
		}

		if n, ok := m.number(dir + "/carrier_changes"); ok {
			counters = append(counters, Counter{Kind: NICLink, Name: entry.Name() + "/carrier_changes", Part: part, Value: n})
		}

		own, err := m.Statistics(entry.Name())
		if err != nil {
			continue // a driver without statistics of its own
		}

		for name, n := range own {
			if named.MatchString(name) {
				counters = append(counters, Counter{Kind: NICErrors, Name: entry.Name() + "/driver/" + name, Part: part, Value: n})
			}
		}
	}

	return counters
}
