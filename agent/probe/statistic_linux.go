package probe

import (
	"bytes"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/disk"
)

const (
	statisticName = 32   // bytes of a name (ETH_GSTRING_LEN)
	maxStatistics = 8192 // far more than any driver counts
)

// Statistics returns a driver's own counters by its own names, which differ from
// driver to driver; see ethtool(8), -S.
func (System) Statistics(port string) (map[string]uint64, error) {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("asking the driver of %s for its counters: %w", port, err)
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	info, err := unix.IoctlGetEthtoolDrvinfo(sock, port)
	if err != nil {
		return nil, fmt.Errorf("asking the driver of %s for its counters: %w", port, err)
	}

	count := int(info.N_stats)
	if count == 0 || count > maxStatistics { // more than there is room for would be written beyond it
		return map[string]uint64{}, nil
	}

	// struct ethtool_gstrings: cmd, string_set, len, names.
	names := struct {
		cmd, set, count uint32
		data            [maxStatistics * statisticName]byte
	}{cmd: unix.ETHTOOL_GSTRINGS, set: 1} // ETH_SS_STATS
	if err := ethtool(sock, port, unsafe.Pointer(&names)); err != nil { //nolint:gosec // the ioctl takes a pointer
		return nil, fmt.Errorf("asking the driver of %s for the names of its counters: %w", port, err)
	}

	// struct ethtool_stats: cmd, n_stats, data.
	values := struct {
		cmd, count uint32
		data       [maxStatistics]uint64
	}{cmd: unix.ETHTOOL_GSTATS, count: uint32(count)}
	if err := ethtool(sock, port, unsafe.Pointer(&values)); err != nil { //nolint:gosec // the ioctl takes a pointer
		return nil, fmt.Errorf("asking the driver of %s for its counters: %w", port, err)
	}

	counters := make(map[string]uint64, count)

	for i := range min(count, int(names.count), int(values.count)) {
		name, _, _ := bytes.Cut(names.data[i*statisticName:(i+1)*statisticName], []byte{0})
		if text := disk.Text(name); text != "" {
			counters[text] = values.data[i]
		}
	}

	return counters, nil
}
