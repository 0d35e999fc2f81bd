package probe

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// The attributes of ETHTOOL_MSG_FEC_GET (Documentation/networking/ethtool-netlink.rst,
// FEC_GET), which package unix does not name.
const (
	fecModes  = 2 // a bitset of link modes
	fecAuto   = 3
	fecActive = 4 // a link mode
	fecStats  = 5 // nested

	fecCorrected     = 2 // within fecStats: blocks, then those of each lane
	fecUncorrectable = 3

	bitsetValue = 4 // of a compact bitset
)

// fec asks for the forward error correction of a port; nil: the driver has none to tell.
func fec(name string) *FEC {
	var told *FEC

	_ = withEthtool(func(sock int, family uint16) error { // a driver that tells none is no fault
		answer, err := generic(sock, family, unix.ETHTOOL_MSG_FEC_GET, fecRequest(name))
		if err != nil {
			return err
		}

		told, err = parseFEC(answer)

		return err
	})

	return told
}

func fecRequest(name string) []byte {
	const flags = unix.ETHTOOL_FLAG_COMPACT_BITSETS | unix.ETHTOOL_FLAG_STATS

	return netlinkAppend(headerOf|unix.NLA_F_NESTED, slices.Concat(
		netlinkAppend(headerName, append([]byte(name), 0)),
		netlinkAppend(headerFlags, binary.NativeEndian.AppendUint32(nil, flags)),
	))
}

// parseFEC decodes the attributes of an answer.
func parseFEC(b []byte) (*FEC, error) {
	f := &FEC{}

	if active, err := netlinkAttribute(b, fecActive); err == nil {
		if len(active) != 4 {
			return nil, fmt.Errorf("reading the mode of error correction: %w", errNetlink)
		}

		f.Active = fecName(int(binary.NativeEndian.Uint32(active)))
	}

	if auto, err := netlinkAttribute(b, fecAuto); err == nil {
		f.Auto = len(auto) == 1 && auto[0] != 0
	}

	if modes, err := netlinkAttribute(b, fecModes); err == nil {
		if mask, err := netlinkAttribute(modes, bitsetValue); err == nil {
			f.Modes = fecNames(mask)
		}
	}

	if stats, err := netlinkAttribute(b, fecStats); err == nil {
		var corrected, uncorrectable bool

		f.Corrected, corrected = fecTotal(stats, fecCorrected)
		f.Uncorrectable, uncorrectable = fecTotal(stats, fecUncorrectable)
		f.Counts = corrected && uncorrectable
	}

	return f, nil
}

// fecTotal is the first of an array of counters, which is that of the port; the others are
// those of its lanes. Drivers have all bits set for what they do not count
// (ETHTOOL_STAT_NOT_SET).
func fecTotal(stats []byte, kind uint16) (n uint64, counted bool) {
	array, err := netlinkAttribute(stats, kind)
	if err != nil || len(array) < 8 {
		return 0, false
	}

	n = binary.NativeEndian.Uint64(array)
	if n == math.MaxUint64 {
		return 0, false
	}

	return n, true
}

// fecBits are the modes of error correction among the link modes.
func fecBits() []struct {
	bit  int
	name string
} {
	return []struct {
		bit  int
		name string
	}{
		{unix.ETHTOOL_LINK_MODE_FEC_NONE_BIT, "off"},
		{unix.ETHTOOL_LINK_MODE_FEC_RS_BIT, "rs"},
		{unix.ETHTOOL_LINK_MODE_FEC_BASER_BIT, "baser"},
		{unix.ETHTOOL_LINK_MODE_FEC_LLRS_BIT, "llrs"},
	}
}

func fecName(bit int) string {
	for _, m := range fecBits() {
		if m.bit == bit {
			return m.name
		}
	}

	return ""
}

// fecNames are the modes of a bitset, which is of words of 32 bits.
func fecNames(mask []byte) (names []string) {
	for _, m := range fecBits() {
		if at := m.bit / 32 * 4; at+4 <= len(mask) && binary.NativeEndian.Uint32(mask[at:])>>(m.bit%32)&1 != 0 {
			names = append(names, m.name)
		}
	}

	return names
}
