package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The attributes of ETHTOOL_MSG_MODULE_EEPROM_GET (Documentation/networking/
// ethtool-netlink.rst, MODULE_EEPROM_GET), which package unix does not name.
const (
	eepromOffset  = 2
	eepromSize    = 3
	eepromPage    = 4
	eepromBank    = 5
	eepromAddress = 6
	eepromData    = 7

	moduleAddress = 0x50 // of modules on their bus
	netlinkAnswer = 8192
	netlinkWait   = 5 * time.Second
)

// The header of a request (ETHTOOL_A_HEADER_*), which each kind has as its first attribute.
const (
	headerOf    = 1 // nested
	headerName  = 2 // of the port
	headerFlags = 3
)

var errNetlink = errors.New("netlink answers something else")

// withEthtool opens a socket of netlink and asks for the number of the kernel's ethtool
// family.
func withEthtool(ask func(sock int, family uint16) error) error {
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}

	defer unix.Close(sock) //nolint:errcheck // nothing was written

	wait := unix.NsecToTimeval(netlinkWait.Nanoseconds())
	if err := unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}

	family, err := ethtoolFamily(sock)
	if err != nil {
		return err
	}

	return ask(sock, family)
}

// cmisModule reads the memory of a module of the later kinds page by page, which is the
// only way to most of it. Pages that the driver does not show stay zero; nothing where it
// does not even show the first.
func cmisModule(name string) (memory []byte) {
	_ = withEthtool(func(sock int, family uint16) error { // without it, there is what older drivers show
		memory = assemble(func(page, bank byte, offset int) ([]byte, error) {
			answer, err := generic(sock, family, unix.ETHTOOL_MSG_MODULE_EEPROM_GET, eepromRequest(name, page, bank, offset))
			if err != nil {
				return nil, err
			}

			return netlinkAttribute(answer, eepromData)
		})

		return nil
	})

	return memory
}

// assemble puts the pages of a module one after the other, as ParseReadings takes them:
// those of bank 0, then of each further bank that it has the pages of its lanes.
func assemble(read func(page, bank byte, offset int) ([]byte, error)) []byte {
	lower, err := read(0, 0, 0)
	if err != nil || len(lower) != cmisPage || !isCMIS(lower[0]) {
		return nil
	}

	memory := make([]byte, cmisLength)
	copy(memory, lower)

	for i, page := range []byte{0x00, 0x01, 0x02, 0x10, 0x11} {
		if page > 0 && !hasPages(memory) {
			return memory[:cmisFlat]
		}

		upper, err := read(page, 0, cmisPage)
		if err == nil && len(upper) == cmisPage {
			copy(memory[(i+1)*cmisPage:], upper)
		}
	}

	for bank := 1; bank < cmisBanks(memory); bank++ {
		for _, page := range []byte{0x10, 0x11} {
			upper, err := read(page, byte(bank), cmisPage)
			if err != nil || len(upper) != cmisPage {
				return memory[:cmisLength+(bank-1)*cmisBank] // what the driver does not show is not known
			}

			memory = append(memory, upper...) //nolint:makezero // its pages follow those that are there
		}
	}

	return memory
}

func eepromRequest(name string, page, bank byte, offset int) []byte {
	number := func(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) } //nolint:gosec // offsets within a page

	return slices.Concat(
		netlinkAppend(headerOf|unix.NLA_F_NESTED, netlinkAppend(headerName, append([]byte(name), 0))),
		netlinkAppend(eepromOffset, number(offset)), netlinkAppend(eepromSize, number(cmisPage)),
		netlinkAppend(eepromPage, []byte{page}), netlinkAppend(eepromBank, []byte{bank}), netlinkAppend(eepromAddress, []byte{moduleAddress}),
	)
}

// ethtoolFamily asks for the number of the kernel's ethtool family.
func ethtoolFamily(sock int) (uint16, error) {
	answer, err := generic(sock, unix.GENL_ID_CTRL, unix.CTRL_CMD_GETFAMILY, netlinkAppend(unix.CTRL_ATTR_FAMILY_NAME, append([]byte(unix.ETHTOOL_GENL_NAME), 0)))
	if err != nil {
		return 0, err
	}

	id, err := netlinkAttribute(answer, unix.CTRL_ATTR_FAMILY_ID)
	if err != nil || len(id) != 2 {
		return 0, fmt.Errorf("asking for the ethtool family: %w", errNetlink)
	}

	return binary.NativeEndian.Uint16(id), nil
}

// netlinkAppend is an attribute (struct nlattr), filled up to four bytes.
func netlinkAppend(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value))) //nolint:gosec // names and numbers
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)

	return append(b, make([]byte, -len(value)&3)...)
}

// netlinkAttribute finds an attribute.
func netlinkAttribute(b []byte, kind uint16) ([]byte, error) {
	const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER

	for len(b) >= unix.SizeofNlAttr {
		length, is := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&^uint16(flags)
		if length < unix.SizeofNlAttr || length > len(b) {
			break
		}

		if is == kind {
			return b[unix.SizeofNlAttr:length], nil
		}

		b = b[min((length+3)&^3, len(b)):]
	}

	return nil, fmt.Errorf("looking for attribute %d: %w", kind, errNetlink)
}

// generic sends one request of a family and returns the attributes of the answer
// (struct nlmsghdr, struct genlmsghdr, then they).
func generic(sock int, family uint16, command byte, attributes []byte) ([]byte, error) {
	const head = unix.SizeofNlMsghdr + unix.GENL_HDRLEN

	message := binary.NativeEndian.AppendUint32(nil, uint32(head+len(attributes))) //nolint:gosec // a hundred bytes
	message = binary.NativeEndian.AppendUint16(message, family)
	message = binary.NativeEndian.AppendUint16(message, unix.NLM_F_REQUEST)
	message = binary.NativeEndian.AppendUint32(message, 1) // sequence
	message = binary.NativeEndian.AppendUint32(message, 0) // port: the kernel fills it in
	message = append(message, command, 1, 0, 0)
	message = append(message, attributes...)

	if err := unix.Sendto(sock, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("asking netlink: %w", err)
	}

	answer := make([]byte, netlinkAnswer)

	n, _, err := unix.Recvfrom(sock, answer, 0)
	if err != nil {
		return nil, fmt.Errorf("hearing netlink: %w", err)
	}

	return parseGeneric(answer[:n], family)
}

// parseGeneric returns the attributes of an answer, or the error that it tells.
func parseGeneric(answer []byte, family uint16) ([]byte, error) {
	const head = unix.SizeofNlMsghdr + unix.GENL_HDRLEN

	if len(answer) < head {
		return nil, fmt.Errorf("hearing %d bytes: %w", len(answer), errNetlink)
	}

	length, kind := int(binary.NativeEndian.Uint32(answer)), binary.NativeEndian.Uint16(answer[4:])

	switch {
	case kind == unix.NLMSG_ERROR:
		return nil, unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:]))) //nolint:gosec // the kernel sends a negative number
	case kind != family || length < head || length > len(answer):
		return nil, fmt.Errorf("hearing message %#x of %d bytes: %w", kind, length, errNetlink)
	default:
		return answer[head:length], nil
	}
}
