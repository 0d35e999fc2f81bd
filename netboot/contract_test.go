package netboot_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/netboot"
)

// The contract: whatever DHCP offers to any kind of client, TFTP or HTTP serves
// to that client, in full; and "no-boot", which is offered to firmware that is to
// go on to its own disk, is not found anywhere.

// kinds of client, by what they send. Architectures are those of IANA's list.
func kinds() map[string][]dhcpv4.Modifier {
	option := func(code uint8, value string) dhcpv4.Modifier {
		return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), []byte(value))
	}

	all := map[string][]dhcpv4.Modifier{
		"a ROM without architecture": {option(60, "PXEClient")},
		"our agent":                  {option(60, "vetting-agent")},
		"an operating system":        nil,
	}

	for arch := range 42 {
		code := option(93, string([]byte{0, byte(arch)}))
		class := fmt.Sprintf("Client:Arch:%05d:UNDI:003016", arch)
		all[fmt.Sprint("PXE on architecture ", arch)] = []dhcpv4.Modifier{code, option(60, "PXE"+class)}
		all[fmt.Sprint("HTTP boot on architecture ", arch)] = []dhcpv4.Modifier{code, option(60, "HTTP"+class)}
		all[fmt.Sprint("iPXE on architecture ", arch)] = []dhcpv4.Modifier{code, option(77, "iPXE"), option(175, "\x13\x01\x01")}
		all[fmt.Sprint("iPXE without HTTP on architecture ", arch)] = []dhcpv4.Modifier{code, option(77, "iPXE")}
	}

	return all
}

// elsewhere is where a machine is sent that has passed.
const elsewhere = "http://192.0.2.1/next.ipxe"

const contractMAC = core.MAC("52:54:00:00:00:01")

// settled is a Server that serves, with one machine to which this is to be done.
func settled(t *testing.T, action core.BootAction) *netboot.Server {
	t.Helper()

	return settledBy(t, action, "", "")
}

// settledBy is one whose machine is to load a program.
func settledBy(t *testing.T, action core.BootAction, loader core.Loader, chain string) *netboot.Server {
	t.Helper()

	return settledTo(t, action, loader, chain, "")
}

// settledTo is one whose machine is sent to its own disk in a way.
func settledTo(t *testing.T, action core.BootAction, loader core.Loader, chain string, home core.Home) *netboot.Server {
	t.Helper()

	s, w := server(t, map[core.MAC]core.BootAction{contractMAC: action})
	w.loader, w.chain, w.home = loader, chain, home

	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}

	return s
}

// offered runs DISCOVER and REQUEST and returns the address and the boot file;
// the two answers must name one file.
func offered(t *testing.T, s *netboot.Server, client []dhcpv4.Modifier) (netip.Addr, string) {
	t.Helper()

	talk := func(kind dhcpv4.MessageType, change ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m, err := dhcpv4.New(append(slices.Concat([]dhcpv4.Modifier{
			dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}),
		}, client), change...)...)
		if err != nil {
			t.Fatal(err)
		}

		answer, err := dhcpv4.FromBytes(s.AnswerDHCP(m.ToBytes(), time.Now()))
		if err != nil {
			t.Fatalf("%s is answered with %v", kind, err)
		}

		return answer
	}

	offer := talk(dhcpv4.MessageTypeDiscover)
	ack := talk(dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))

	if ack.MessageType() != dhcpv4.MessageTypeAck || ack.BootFileName != offer.BootFileName {
		t.Fatalf("offered %q, acknowledged %q (%s)", offer.BootFileName, ack.BootFileName, ack.MessageType())
	}

	if long := string(bytes.TrimRight(ack.Options.Get(dhcpv4.OptionBootfileName), "\x00")); long != "" && long != ack.BootFileName {
		t.Errorf("option 67 says %q, the header %q", long, ack.BootFileName)
	}

	addr, _ := netip.AddrFromSlice(ack.YourIPAddr)

	return addr.Unmap(), ack.BootFileName
}

// fetch gets what a boot file name stands for, as the client at addr does.
func fetch(t *testing.T, s *netboot.Server, addr netip.Addr, file string) (body []byte, found bool) {
	t.Helper()

	if path, ok := strings.CutPrefix(file, "http://10.77.0.1"); ok {
		var c fasthttp.RequestCtx

		c.Init(&fasthttp.Request{}, &net.TCPAddr{IP: addr.AsSlice(), Port: 4711}, nil)
		c.Request.SetRequestURI(path)
		s.AnswerHTTP(t.Context(), &c)

		switch status := c.Response.StatusCode(); status {
		case 200:
			return c.Response.Body(), true
		case 404:
			return nil, false
		default:
			t.Fatalf("%s is answered %d", file, status)
		}
	}

	body, known, err := s.LookupTFTP(t.Context(), addr, strings.TrimPrefix(file, "tftp://10.77.0.1/"))
	if !known || err != nil {
		t.Fatalf("TFTP does not know %s (%v)", addr, err)
	}

	return body, body != nil
}

// scripted lists what a script loads, or a boot program that asks for more by itself.
func scripted(file string, script []byte) (files []string) {
	if strings.HasSuffix(file, "shimx64.efi") {
		beside := strings.TrimSuffix(file, "shimx64.efi")
		config := "grub/grub.cfg"

		if beside != "" {
			config = "http://10.77.0.1/grub/grub.cfg"
		}

		return []string{beside + "grubx64.efi", config}
	}

	for _, word := range strings.Fields(string(script)) {
		if path, ok := strings.CutPrefix(word, "(http,10.77.0.1)"); ok {
			files = append(files, "http://10.77.0.1"+strings.TrimSuffix(path, ";"))
		}

		if path, ok := strings.CutPrefix(word, "${base}"); ok {
			files = append(files, "http://10.77.0.1"+strings.ReplaceAll(path, "${netX/mac}", string(contractMAC)))
		}
	}

	return files
}

func TestEverythingOfferedIsServed(t *testing.T) {
	for name, client := range kinds() {
		for _, c := range []struct {
			action core.BootAction
			loader core.Loader
			chain  string
			home   core.Home
		}{
			{core.BootVet, "", "", ""},
			{core.BootLocal, "", "", ""},
			{core.BootLocal, "", "", core.HomeMissing},
			{core.BootLocal, "", "", core.HomeExit},
			{core.BootLocal, core.LoaderIPXE, "", core.HomeDisk},
			{core.BootLocal, core.LoaderShim, "", core.HomeExit},
			{core.BootLocal, core.LoaderShim, "", core.HomeDisk},
			{core.BootLocal, "", elsewhere, ""},
			{core.BootVet, core.LoaderIPXE, "", ""},
			{core.BootLocal, core.LoaderIPXE, "", ""},
			{core.BootLocal, core.LoaderIPXE, elsewhere, ""},
			{core.BootVet, core.LoaderUKI, "", ""},
			{core.BootLocal, core.LoaderUKI, "", ""},
			{core.BootLocal, core.LoaderUKI, elsewhere, ""},
			{core.BootVet, core.LoaderShim, "", ""},
			{core.BootLocal, core.LoaderShim, "", ""},
			{core.BootLocal, core.LoaderShim, elsewhere, ""},
		} {
			t.Run(name+" to "+string(c.action)+" by "+string(c.loader)+" on to "+c.chain+" home by "+string(c.home), func(t *testing.T) {
				s := settledTo(t, c.action, c.loader, c.chain, c.home)
				addr, file := offered(t, s, client)

				body, found := []byte(nil), file != ""
				if found {
					body, found = fetch(t, s, addr, file)
				}

				wants := file != "" && !strings.HasSuffix(file, "no-boot")
				if found != wants || found && len(body) == 0 {
					t.Errorf("%q is found: %t, %d bytes", file, found, len(body))
				}

				for todo := scripted(file, body); len(todo) > 0; todo = todo[1:] {
					part, found := fetch(t, s, addr, todo[0])
					if !found || len(part) == 0 {
						t.Errorf("the script's %s is found: %t, %d bytes", todo[0], found, len(part))
					}

					todo = append(todo, scripted(todo[0], part)...)
				}
			})
		}
	}
}

// A machine that has passed is sent on by its iPXE, on BIOS and UEFI; one that starts
// only what is signed, or is on a rung above all iPXEs since they freeze there, cannot
// run iPXE and goes to its own disk.
func TestAMachineThatHasPassedIsSentOn(t *testing.T) {
	uefi := kinds()["PXE on architecture 7"]

	for loader, want := range map[core.Loader]string{"": "snponly.efi", core.LoaderIPXE: "ipxe.efi", core.LoaderUKI: "no-boot", core.LoaderShim: "no-boot"} {
		s := settledBy(t, core.BootLocal, loader, elsewhere)

		addr, file := offered(t, s, uefi)
		if file != want {
			t.Errorf("by %q it is offered %s, want %s", loader, file, want)
		}

		script, _ := fetch(t, s, addr, "http://10.77.0.1/ipxe/"+string(contractMAC))
		if !strings.Contains(string(script), " "+elsewhere+" ||") || !strings.HasSuffix(string(script), "|| exit 1\n") {
			t.Errorf("its script is\n%s", script)
		}

		if body, found := fetch(t, s, addr, "http://10.77.0.1/boot/vmlinuz"); found {
			t.Errorf("it has %d bytes of the live image", len(body))
		}
	}
}

// What iPXE looks for beside itself is there on both ways, or at once not.
func TestWhatLoadersLookForOnTheirOwn(t *testing.T) {
	s := settled(t, core.BootVet)
	addr, _ := offered(t, s, nil)

	for file, want := range map[string]bool{
		"autoexec.ipxe": true, "http://10.77.0.1/autoexec.ipxe": true, "http://10.77.0.1/boot/autoexec.ipxe": true,
		"revocations_sku.efi": false, "shim_certificate_0.efi": false, "http://10.77.0.1/boot/revocations.efi": false,
	} {
		if _, found := fetch(t, s, addr, file); found != want {
			t.Errorf("%s is found: %t", file, found)
		}
	}

	if _, known, _ := s.LookupTFTP(t.Context(), netip.MustParseAddr("10.77.0.99"), "snponly.efi"); known {
		t.Error("TFTP answers an address that nobody has leased")
	}
}
