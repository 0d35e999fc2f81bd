package probe

import (
	"encoding/hex"
	"path"
	"regexp"
	"strconv"
)

// PortState is how a network port is at a moment.
type PortState struct {
	Link         bool
	SpeedMbps    int    // negotiated; 0: unknown
	MaxSpeedMbps int    // of the fastest mode that it has; 0: unknown
	PartnerMbps  int    // of the fastest that the other end advertises; 0: it tells none
	Duplex       string // "full", "half"; else unknown
	MTU          int
	// Changes counts how often the link went up or down.
	Changes uint64
	// Errors are counters of damaged frames and bad links, by their names.
	Errors map[string]uint64
	// NoRoom are counters of frames that the machine was too slow for.
	NoRoom map[string]uint64
	// Bits is how much was sent and received, in bits.
	Bits     uint64
	Readings []Reading // of the transceiver
	Module   bool      // there is a transceiver that shows its memory
	Flags    []Flag    // of it, since it was read before
	FEC      FEC       // forward error correction
}

// Counters asks network drivers for their own counters (ethtool -S).
type Counters interface {
	Statistics(port string) (map[string]uint64, error)
}

// What drivers call their counters; the names are each driver's own.
const (
	damagedNames = `(?i)(^|[_.])(crc|fcs|symbol|align\w*|fec_uncorr\w*|jabber\w*)`
	noRoomNames  = `(?i)(missed|no_buffer|no_dma|out_of_buffer|discards_phy|fifo)`
)

// PortState reads a port by its name.
func (m Machine) PortState(name string) PortState {
	dir := path.Join(netDevices, name)
	state := PortState{
		Link: m.text(dir+"/carrier") == "1", Duplex: m.text(dir + "/duplex"), MTU: m.number(dir+"/mtu", 0),
		Changes: m.count(dir + "/carrier_changes"), Errors: map[string]uint64{}, NoRoom: map[string]uint64{},
		Bits: 8 * (m.count(dir+"/statistics/rx_bytes") + m.count(dir+"/statistics/tx_bytes")),
	}

	if state.Link {
		state.SpeedMbps = max(0, m.number(dir+"/speed", 0))
	}

	for _, counter := range []string{"rx_errors", "rx_crc_errors", "rx_frame_errors", "rx_length_errors", "tx_errors", "tx_carrier_errors", "tx_aborted_errors"} {
		state.Errors[counter] = m.count(dir + "/statistics/" + counter)
	}

	for _, counter := range []string{"rx_missed_errors", "rx_over_errors", "rx_fifo_errors", "rx_dropped"} {
		state.NoRoom[counter] = m.count(dir + "/statistics/" + counter)
	}

	m.ask(name, &state)

	return state
}

// ask adds what the driver says.
func (m Machine) ask(name string, state *PortState) {
	if port, err := m.Ports.Port(name); err == nil {
		state.MaxSpeedMbps, state.PartnerMbps = port.MaxSpeedMbps, port.PartnerMbps

		if state.Link && state.SpeedMbps == 0 {
			state.SpeedMbps = port.SpeedMbps
		}

		if raw, err := hex.DecodeString(port.Module); err == nil {
			state.Module, state.Readings, state.Flags = len(raw) > 0, ParseReadings(raw), ParseFlags(raw)
		}

		if port.FEC != nil {
			state.FEC = *port.FEC
		}

		if state.FEC.Counts {
			state.Errors["fec_uncorrectable_blocks"] = state.FEC.Uncorrectable
		}
	}

	driver, ok := m.Ports.(Counters)
	if !ok {
		return
	}

	own, err := driver.Statistics(name)
	if err != nil {
		return // a driver without counters of its own
	}

	damaged, noRoom := regexp.MustCompile(damagedNames), regexp.MustCompile(noRoomNames)

	for counter, n := range own {
		switch {
		case damaged.MatchString(counter):
			state.Errors["driver/"+counter] = n
		case noRoom.MatchString(counter):
			state.NoRoom["driver/"+counter] = n
		}
	}
}

// Flags reads what the transceiver of a port says of its signals, and nothing else.
func (m Machine) Flags(name string) []Flag {
	port, err := m.Ports.Port(name)
	if err != nil {
		return nil
	}

	raw, err := hex.DecodeString(port.Module)
	if err != nil {
		return nil
	}

	return ParseFlags(raw)
}

// PhysicalPort returns what the driver calls the port of the card that a network function
// goes through, which several functions may share (phys_port_id in Documentation/ABI/
// testing/sysfs-class-net); empty where it does not say.
func (m Machine) PhysicalPort(name string) string {
	return m.text(path.Join(netDevices, name, "phys_port_id"))
}

// VirtualPort reports whether a network port is a function of another one's card (SR-IOV).
func (m Machine) VirtualPort(name string) bool {
	return m.has(path.Join(netDevices, name, "device", "physfn"))
}

// count reads a counter; one that is not there has counted nothing.
func (m Machine) count(name string) uint64 {
	n, err := strconv.ParseUint(m.text(name), 10, 64)
	if err != nil {
		return 0
	}

	return n
}
