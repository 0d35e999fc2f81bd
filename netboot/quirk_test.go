package netboot_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/valyala/fasthttp"

	"vetting/core"
)

// Each of these holds what netboot/quirk says under its ID.

// scripts are all that an iPXE may be given, by the way it asks.
func scripts(t *testing.T) map[string]string {
	t.Helper()

	all := map[string]string{}

	for _, action := range []core.BootAction{core.BootVet, core.BootLocal} {
		s := settled(t, action)
		addr, _ := offered(t, s, nil)

		for _, path := range []string{"http://10.77.0.1/ipxe/" + string(contractMAC), "http://10.77.0.1/autoexec.ipxe", "autoexec.ipxe"} {
			body, found := fetch(t, s, addr, path)
			if !found || !strings.HasPrefix(string(body), "#!ipxe\n") {
				t.Fatalf("%s is %q", path, body)
			}

			all[string(action)+" "+path] = string(body)
		}
	}

	return all
}

func TestQuirkQ16AutoexecAsksDHCPAndScriptsFreeWhatWasLeft(t *testing.T) {
	for name, script := range scripts(t) {
		want := "\nimgfree ||\n"
		if strings.HasSuffix(name, "autoexec.ipxe") {
			want = "\nifconf --configurator dhcp && "
		}

		if !strings.Contains(script, want) {
			t.Errorf("%s lacks %q:\n%s", name, want, script)
		}
	}
}

func TestQuirkQ19EveryScriptThatEndsGivesUEFIAnError(t *testing.T) {
	for name, script := range scripts(t) {
		for line := range strings.Lines(script) {
			for word := range strings.SplitSeq(line, "||") {
				if word = strings.TrimSpace(word); word == "exit" || word == "exit 0" || strings.HasSuffix(word, "&& exit") {
					t.Errorf("%s: %q leads into the set-up menu", name, line)
				}
			}
		}

		if !strings.Contains(script, "exit 1") {
			t.Errorf("%s never ends:\n%s", name, script)
		}
	}
}

func TestQuirkQ20SanbootIsForBIOSAlone(t *testing.T) {
	for name, script := range scripts(t) {
		before, _, used := strings.Cut(script, "sanboot")
		if used && !strings.Contains(before, "iseq ${platform} efi && exit 1") {
			t.Errorf("%s sends UEFI to sanboot:\n%s", name, script)
		}
	}
}

// The script that is served where we do not give the addresses asks again.
func TestQuirkQ23AScriptAsksDHCPAgainUntilItKnowsWhereToGo(t *testing.T) {
	for name, script := range scripts(t) {
		if strings.HasSuffix(name, "autoexec.ipxe") && (!strings.Contains(script, "goto again") || !strings.Contains(script, "iseq ${n} 10")) {
			t.Errorf("%s tries but once:\n%s", name, script)
		}
	}
}

func TestQuirkQ29AStrangerIsRefusedAtEveryStep(t *testing.T) {
	s := settled(t, core.BootIgnore)

	m, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithHwAddr([]byte{0x52, 0x54, 0, 0, 0, 1}),
		dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(60), []byte("PXEClient:Arch:00007:UNDI:003016")))
	if err != nil {
		t.Fatal(err)
	}

	if s.AnswerDHCP(m.ToBytes(), time.Now()) != nil {
		t.Error("DHCP answers")
	}

	addr := netip.MustParseAddr("10.77.0.20")
	if _, known, _ := s.LookupTFTP(t.Context(), addr, "snponly.efi"); known {
		t.Error("TFTP answers")
	}

	for _, path := range []string{"snponly.efi", "undionly.kpxe", "vmlinuz", "base.cpio.zst"} {
		var c fasthttp.RequestCtx

		c.Init(&fasthttp.Request{}, &net.TCPAddr{IP: addr.AsSlice(), Port: 4711}, nil)
		c.Request.SetRequestURI("/boot/" + path)
		s.AnswerHTTP(t.Context(), &c)

		if status := c.Response.StatusCode(); status != 403 {
			t.Errorf("HTTP answers %d for %s", status, path)
		}
	}
}

// What other programs for the same card are tried with is served too.
func TestQuirkQ31OtherProgramsForTheSameCardAreServed(t *testing.T) {
	s := settled(t, core.BootVet)
	addr, _ := offered(t, s, nil)

	for _, name := range []string{"undionly.kpxe", "snponly.efi", "ipxe.efi"} {
		if _, found := fetch(t, s, addr, name); !found {
			t.Errorf("%s is not there", name)
		}
	}
}

// A machine whose own disk is to start is never led there by GRUB.
func TestQuirkQ33TheWayHomeIsTheFirmware(t *testing.T) {
	for name, script := range scripts(t) {
		if strings.Contains(strings.ToLower(script), "grub") {
			t.Errorf("%s chains GRUB:\n%s", name, script)
		}
	}

	s := settled(t, core.BootLocal)
	addr, file := offered(t, s, []dhcpv4.Modifier{
		dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(60), []byte("PXEClient:Arch:00007:UNDI:003016")), dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(93), []byte{0, 7}),
	})

	if _, found := fetch(t, s, addr, file); found || file != "no-boot" {
		t.Errorf("offered %q, which is found: %t", file, found)
	}
}
