package probe

import (
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/disk"
	"vetting/core"
)

// System asks the running kernel's drivers by ethtool ioctls. safchain/ethtool
// falls back to the 32 oldest link modes on kernels that know more modes than it
// does, and prints on standard output, so these requests are our own.
type System struct{}

// Port asks one driver. What it does not tell stays empty; an error only when it
// tells nothing at all.
func (System) Port(name string) (Port, error) {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Port{}, fmt.Errorf("asking the driver of %s: %w", name, err)
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	info, err := unix.IoctlGetEthtoolDrvinfo(sock, name)
	if err != nil {
		return Port{}, fmt.Errorf("asking the driver of %s: %w", name, err)
	}

	port := Port{
		Driver: fixed(info.Driver[:]), Firmware: fixed(info.Fw_version[:]), OptionROM: fixed(info.Erom_version[:]), Bus: fixed(info.Bus_info[:]),
		PermMAC: permanent(sock, name), Wakes: wakes(sock, name), Module: hex.EncodeToString(module(sock, name)),
		FEC: fec(name),
	}
	port.SpeedMbps, port.MaxSpeedMbps, port.PartnerMbps = linkSettings(sock, name)

	return port, nil
}

// fixed reads a C string out of a fixed field.
func fixed(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return disk.Text(b[:i])
		}
	}

	return disk.Text(b)
}

// interfaceRequest is struct ifreq with a pointer, on 64-bit Linux.
type interfaceRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

func ethtool(sock int, name string, data unsafe.Pointer) error {
	if len(name) >= unix.IFNAMSIZ {
		return unix.EINVAL
	}

	req := interfaceRequest{data: data}
	copy(req.name[:], name)

	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(sock), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))) //nolint:gosec // the ioctl takes a pointer
	runtime.KeepAlive(data)

	if errno != 0 {
		return errno
	}

	return nil
}

// permanent asks for the address burnt into the port (struct ethtool_perm_addr);
// nothing when the driver does not know one.
func permanent(sock int, name string) core.MAC {
	req := struct {
		cmd, size uint32
		address   [32]byte
	}{cmd: unix.ETHTOOL_GPERMADDR, size: 32}

	if err := ethtool(sock, name, unsafe.Pointer(&req)); err != nil || req.size != 6 { //nolint:gosec // the ioctl takes a pointer
		return ""
	}

	return core.MAC(net.HardwareAddr(req.address[:6]).String())
}

const maskWords = 32 // far more link modes than there are

// linkRequest is struct ethtool_link_settings with room for its three masks.
type linkRequest struct {
	cmd   uint32
	speed uint32
	_     [7]byte // duplex to eth_tp_mdix_ctrl
	words int8
	_     [4]byte
	_     [7]uint32
	masks [3 * maskWords]uint32
}

// linkSettings asks twice, as <linux/ethtool.h> says: a wrong number of words is
// answered with the right one, negated. The masks are of the modes that the port has, that
// it advertises, and that its link partner advertises, where they negotiate.
func linkSettings(sock int, name string) (speed, fastest, partner int) {
	req := linkRequest{cmd: unix.ETHTOOL_GLINKSETTINGS}
	if err := ethtool(sock, name, unsafe.Pointer(&req)); err != nil || req.words >= 0 || req.words < -maskWords { //nolint:gosec // as above
		return 0, 0, 0
	}

	req = linkRequest{cmd: unix.ETHTOOL_GLINKSETTINGS, words: -req.words}
	if err := ethtool(sock, name, unsafe.Pointer(&req)); err != nil || req.words <= 0 || req.words > maskWords { //nolint:gosec // as above
		return 0, 0, 0
	}

	if req.speed != math.MaxUint32 && req.speed != math.MaxUint16 {
		speed = int(req.speed)
	}

	words := int(req.words)

	return speed, FastestMode(req.masks[:words]), FastestMode(req.masks[2*words : 3*words])
}

// FastestMode returns the speed in Mbit/s of the fastest link mode in a mask of
// enum ethtool_link_mode_bit_indices; 0 when it has none.
func FastestMode(mask []uint32) (mbps int) {
	speeds := []struct{ first, last, mbps int }{
		{0, 1, 10},
		{2, 3, 100},
		{4, 5, 1000},
		{12, 12, 10000},
		{15, 15, 2500},
		{17, 17, 1000},
		{18, 20, 10000},
		{21, 22, 20000},
		{23, 26, 40000},
		{27, 30, 56000},
		{31, 33, 25000},
		{34, 35, 50000},
		{36, 39, 100000},
		{40, 40, 50000},
		{41, 41, 1000},
		{42, 46, 10000},
		{47, 47, 2500},
		{48, 48, 5000},
		{52, 56, 50000},
		{57, 61, 100000},
		{62, 66, 200000},
		{67, 67, 100},
		{68, 68, 1000},
		{69, 73, 400000},
		{75, 79, 100000},
		{80, 84, 200000},
		{85, 89, 400000},
		{90, 91, 100},
		{92, 92, 10},
		{93, 98, 800000},
		{99, 102, 10},
		{103, 107, 200000},
		{108, 112, 400000},
		{113, 117, 800000},
	}

	for _, s := range speeds {
		for bit := s.first; bit <= s.last; bit++ {
			if bit/32 < len(mask) && mask[bit/32]&(1<<(bit%32)) != 0 {
				mbps = max(mbps, s.mbps)
			}
		}
	}

	return mbps
}
