package trial

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

func TestWhatIsMissingIsNamedWithItsPackage(t *testing.T) {
	t.Parallel()

	none := errors.New("not there")
	has := func(some ...string) func(string) (os.FileInfo, error) {
		return func(name string) (os.FileInfo, error) {
			for _, s := range some {
				if s == name {
					return nil, nil
				}
			}

			return nil, fs.ErrNotExist
		}
	}
	found := func(string) (string, error) { return "/usr/bin/qemu-system-x86_64", nil }
	lost := func(string) (string, error) { return "", none }

	for name, c := range map[string]struct {
		firmware Firmware
		look     func(string) (string, error)
		stat     func(string) (os.FileInfo, error)
		words    []string
	}{
		"all there, BIOS":  {BIOS, found, has("/usr/lib/ipxe/qemu/efi-virtio.rom"), nil},
		"all there, UEFI":  {UEFI, found, has(OVMFCode, OVMFVars), nil},
		"no QEMU":          {UEFI, lost, has(OVMFCode, OVMFVars), []string{"apt-get install", "qemu-system-x86"}},
		"no ROM":           {BIOS, found, has(), []string{"ipxe-qemu"}},
		"no OVMF":          {HTTP, found, has(OVMFCode), []string{OVMFVars, "ovmf"}},
		"no secure OVMF":   {Secure, found, has(OVMFCode, OVMFVars), []string{OVMFSecureCode, "ovmf"}},
		"nothing for BIOS": {BIOS, lost, has(), []string{"qemu-system-x86 ipxe-qemu"}},
	} {
		err := c.firmware.missing(c.look, c.stat)
		if (err == nil) != (c.words == nil) {
			t.Errorf("%s: %v", name, err)

			continue
		}

		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q is not in %q", name, word, err)
			}
		}
	}
}

// The other DHCP server gives an address to whoever asks it, and names our files only
// where we do not speak ourselves.
func TestThePeerGivesAnAddressAndNamesFilesWhereItMust(t *testing.T) {
	t.Parallel()

	mac := net.HardwareAddr{0x52, 0x54, 0, 0x7e, 0x57, 1}
	self, machine, err := Peer{Network: netip.MustParsePrefix("10.77.0.254/24")}.places()

	if err != nil || self.String() != "10.77.0.253" || machine.String() != "10.77.0.252" {
		t.Fatalf("places %s and %s (%v)", self, machine, err)
	}

	if _, _, err := (Peer{Network: netip.MustParsePrefix("10.77.0.1/30")}).places(); err == nil {
		t.Error("a network of two addresses has room for three")
	}

	for name, c := range map[string]struct {
		arch  iana.Arch
		class string
		user  string
		file  string
	}{
		"BIOS": {iana.INTEL_X86PC, "PXEClient:Arch:00000", "", "undionly.kpxe"}, "UEFI": {iana.EFI_X86_64, "PXEClient:Arch:00007", "", "snponly.efi"},
		"HTTP": {iana.EFI_X86_64_HTTP, "HTTPClient:Arch:00016", "", "http://10.77.0.1/boot/snponly.efi"},
		"iPXE": {iana.EFI_X86_64, "PXEClient", "iPXE", "http://10.77.0.1/ipxe/52:54:00:7e:57:01"},
	} {
		ask, err := dhcpv4.NewDiscovery(mac, dhcpv4.WithOption(dhcpv4.OptClientArch(c.arch)), dhcpv4.WithOption(dhcpv4.OptClassIdentifier(c.class)))
		if err != nil {
			t.Fatal(err)
		}

		if c.user != "" {
			ask.UpdateOption(dhcpv4.OptUserClass(c.user))
		}

		for _, names := range []bool{false, true} {
			p := Peer{Network: netip.MustParsePrefix("10.77.0.1/24"), Names: names}

			reply, err := dhcpv4.FromBytes(p.answer(ask.ToBytes(), self, machine))
			if err != nil || reply.MessageType() != dhcpv4.MessageTypeOffer || !reply.YourIPAddr.Equal(machine.AsSlice()) {
				t.Fatalf("%s: %v (%v)", name, reply, err)
			}

			want := ""
			if names {
				want = c.file
			}

			if reply.BootFileName != want {
				t.Errorf("%s: names %q, want %q", name, reply.BootFileName, want)
			}
		}
	}

	other, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithHwAddr(mac), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 1))))
	if err != nil {
		t.Fatal(err)
	}

	if (Peer{Network: netip.MustParsePrefix("10.77.0.1/24")}).answer(other.ToBytes(), self, machine) != nil {
		t.Error("it answers who has chosen another server")
	}
}

func TestTheScreenKeepsItsEndAsPlainText(t *testing.T) {
	t.Parallel()

	var s screen

	for range 3000 {
		_, _ = s.Write([]byte("\x1b[2J\x1b[01;01Hone of many lines\r\n\r\n")) //nolint:errcheck // takes everything
	}

	_, _ = s.Write([]byte("the \x00last")) //nolint:errcheck // likewise

	if got := s.tail(2); len(got) != 2 || got[0] != "one of many lines" || got[1] != "the last" || len(s.text) > 64<<10 {
		t.Errorf("%q, %d bytes", got, len(s.text))
	}
}
