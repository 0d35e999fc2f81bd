package dhcp

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/iana"

	"vetting/core"
	"vetting/netboot/dhcp/message"
)

// AgentClass is the vendor class (option 60) of our agent's own DHCP.
const AgentClass = "vetting-agent"

// Encapsulated options of option 175 (ipxe.org/howto/dhcpd, src/include/ipxe/features.h).
const (
	ipxeHTTP = 19
	guidLen  = 17 // option 97: type 0 and 16 bytes (RFC 4578 §2.3)
)

// client is who sent a packet, as far as the packet tells.
type client struct {
	core.BootClient

	// web says that this iPXE can fetch a script over HTTP.
	web bool
}

// recognise tells the clients apart. iPXE comes first, and by option 77 or 175,
// never by 60: it repeats the option 60 of an earlier offer as its own (ipxe #1527).
func recognise(m *message.Message, mac core.MAC) client {
	vendor := m.Text(message.OptVendorClass)
	c := client{BootClient: core.BootClient{
		MAC: mac, UUID: machineID(m.Option(message.OptMachineID)), Kind: core.ClientOther,
		Arch: architecture(m, vendor), Vendor: printable(vendor),
	}}

	switch {
	case isIPXE(m):
		c.Kind = core.ClientIPXE
		// gPXE has HTTP, but does not know our scripts for scripts.
		c.web = slices.Contains(features(m.Option(message.OptIPXE)), ipxeHTTP) && !hasClass(m, "gPXE")
	case strings.HasPrefix(vendor, "HTTPClient"):
		c.Kind = core.ClientHTTP
	case strings.HasPrefix(vendor, "PXEClient") && c.Arch <= int(iana.INTEL_X86PC):
		// An architecture that is absent or unreadable is an old BIOS ROM's.
		c.Kind = core.ClientBIOS
	case strings.HasPrefix(vendor, "PXEClient"):
		c.Kind = core.ClientUEFI
	case strings.HasPrefix(vendor, AgentClass):
		c.Kind = core.ClientAgent
	}

	return c
}

// isIPXE accepts user class "iPXE", or that of its ancestor gPXE, as raw text and as
// RFC 3004 length-prefixed items, and the presence of option 175, since scripts may
// set the user class.
func isIPXE(m *message.Message) bool {
	return m.Has(message.OptIPXE) || hasClass(m, "iPXE") || hasClass(m, "gPXE")
}

// hasClass looks at the user class (option 77): the raw text, or the only item of a list.
func hasClass(m *message.Message, name string) bool {
	class := m.Option(message.OptUserClass)

	return string(class) == name || len(class) > 1 && int(class[0]) == len(name) && string(class[1:]) == name
}

// features lists the codes of the encapsulated options of option 175 whose first
// byte is not zero. A last one cut short is dropped.
func features(b []byte) []byte {
	var codes []byte

	for len(b) >= 2 && b[0] != 255 {
		if b[0] == 0 {
			b = b[1:]

			continue
		}

		end := 2 + int(b[1])
		if end > len(b) {
			break
		}

		if end > 2 && b[2] != 0 {
			codes = append(codes, b[0])
		}

		b = b[end:]
	}

	return codes
}

// architecture reads option 93, or where that is absent or of odd length the
// "Arch:00007" in the text of option 60 (PXE 2.1 §2.2.3). -1 when neither tells.
func architecture(m *message.Message, vendor string) int {
	if arch, ok := m.Uint16(message.OptArch); ok {
		return int(arch)
	}

	_, rest, found := strings.Cut(vendor, "Arch:")
	if !found || len(rest) < 5 {
		return -1
	}

	arch, err := strconv.ParseUint(rest[:5], 10, 16)
	if err != nil {
		return -1
	}

	return int(arch)
}

// machineID writes the UUID of option 97 the way SMBIOS 2.6 and dmidecode do
// (first three fields little-endian). Another length, and the placeholders that
// tell nothing, give "".
func machineID(b []byte) string {
	if len(b) != guidLen || b[0] != 0 {
		return ""
	}

	// By hand, since it is read of every packet.
	var t [36]byte

	u := b[1:]
	hex.Encode(t[:8], []byte{u[3], u[2], u[1], u[0]})
	hex.Encode(t[9:13], []byte{u[5], u[4]})
	hex.Encode(t[14:18], []byte{u[7], u[6]})
	hex.Encode(t[19:23], u[8:10])
	hex.Encode(t[24:], u[10:16])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'

	switch text := string(t[:]); text {
	case "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"03000200-0400-0500-0006-000700080009": // AMI's placeholder
		return ""
	default:
		return text
	}
}

// printable cuts foreign text down to what may be shown and logged.
func printable(s string) string {
	const limit = 64

	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}

		return r
	}, s)

	return s[:min(len(s), limit)]
}

// macText writes a hardware address the way core does.
func macText(b [6]byte) core.MAC {
	const digits = "0123456789abcdef"

	var t [17]byte

	for i, v := range b {
		t[3*i], t[3*i+1] = digits[v>>4], digits[v&15]
		if i < 5 {
			t[3*i+2] = ':'
		}
	}

	return core.MAC(t[:])
}
