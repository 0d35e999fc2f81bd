package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attribute is a route attribute (rtnetlink(7)).
type attribute struct {
	kind  uint16
	value []byte
}

// request asks the kernel for one change and waits for its answer. body is the
// family's own header.
func request(kind uint16, flags int, body []byte, attributes ...attribute) error {
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening rtnetlink: %w", err)
	}

	file := os.NewFile(uintptr(sock), "rtnetlink")
	defer file.Close() //nolint:errcheck // the answer says whether it worked

	payload := body
	for _, a := range attributes {
		payload = binary.NativeEndian.AppendUint16(payload, uint16(unix.SizeofRtAttr+len(a.value))) //nolint:gosec // 16 bytes at most
		payload = binary.NativeEndian.AppendUint16(payload, a.kind)
		payload = append(payload, a.value...)
		payload = append(payload, make([]byte, -len(a.value)&3)...)
	}

	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload))) //nolint:gosec // under 100 bytes
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, uint16(unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)) //nolint:gosec // flags are constants
	message = binary.NativeEndian.AppendUint32(message, 1)                                               // sequence
	message = binary.NativeEndian.AppendUint32(message, 0)                                               // port: the kernel fills it in
	message = append(message, payload...)

	if err := unix.Sendto(sock, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("asking rtnetlink: %w", err)
	}

	answer := make([]byte, 4096)

	n, _, err := unix.Recvfrom(sock, answer, 0)
	if err != nil {
		return fmt.Errorf("hearing rtnetlink: %w", err)
	}

	return ParseAck(answer[:n])
}

// ParseAck decodes the kernel's answer to a request with NLM_F_ACK.
func ParseAck(answer []byte) error {
	if len(answer) < unix.SizeofNlMsghdr+4 {
		return errors.New("hearing rtnetlink: answer too short")
	}

	if binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("hearing rtnetlink: no acknowledgement")
	}

	code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])) //nolint:gosec // the kernel sends a negative number
	if code < 0 {
		return unix.Errno(-code)
	}

	return nil
}

// linkUp switches an interface on.
func linkUp(index int) error {
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index)) //nolint:gosec // an interface index is positive
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP)

	if err := request(unix.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("switching interface %d on: %w", index, err)
	}

	return nil
}

// addAddress gives an interface an address; the same one twice is no error.
func addAddress(index int, prefix netip.Prefix) error {
	body := []byte{unix.AF_INET, byte(prefix.Bits()), 0, unix.RT_SCOPE_UNIVERSE}
	body = binary.NativeEndian.AppendUint32(body, uint32(index)) //nolint:gosec // an interface index is positive
	addr := prefix.Addr().As4()

	err := request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body,
		attribute{unix.IFA_LOCAL, addr[:]}, attribute{unix.IFA_ADDRESS, addr[:]}, attribute{unix.IFA_BROADCAST, broadcast(prefix)})
	if err != nil {
		return fmt.Errorf("setting address %s: %w", prefix, err)
	}

	return nil
}

// dropAddress takes an address away again; one that is not there is no error.
func dropAddress(index int, prefix netip.Prefix) error {
	body := []byte{unix.AF_INET, byte(prefix.Bits()), 0, unix.RT_SCOPE_UNIVERSE}
	body = binary.NativeEndian.AppendUint32(body, uint32(index)) //nolint:gosec // an interface index is positive
	addr := prefix.Addr().As4()

	err := request(unix.RTM_DELADDR, 0, body, attribute{unix.IFA_LOCAL, addr[:]})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("removing address %s: %w", prefix, err)
	}

	return nil
}

// broadcast is the last address of a prefix.
func broadcast(prefix netip.Prefix) []byte {
	last := prefix.Masked().Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}

	return last[:]
}

// defaultRoute sends everything else through a router.
func defaultRoute(index int, router netip.Addr) error {
	via := router.As4()
	body := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_DHCP, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}

	err := request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body,
		attribute{unix.RTA_GATEWAY, via[:]}, attribute{unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index))}) //nolint:gosec // as above
	if err != nil {
		return fmt.Errorf("routing through %s: %w", router, err)
	}

	return nil
}

// The header sizes above are those of the kernel.
var _ = [1]struct{}{}[unsafe.Sizeof(unix.RtMsg{})-12]
