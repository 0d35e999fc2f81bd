package ipxe_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vetting/core"
	"vetting/netboot/ipxe"
)

var update = flag.Bool("update", false, "write the golden files anew")

// boot is what a script is made of.
func boot() ipxe.Boot {
	return ipxe.Boot{
		Server: netip.MustParseAddr("10.77.0.1"), Host: "52:54:00:00:00:01", Name: "bench-1", Seed: "0123456789abcdef",
		Image: ipxe.Image{
			Kernel:  "/boot/0123456789ab/vmlinuz",
			Initrds: []string{"/boot/23456789abcd/base.cpio.zst", "/boot/456789abcdef/modules.cpio", "/boot/6789abcdef01/agent.cpio"},
		},
		Cmdline: []string{"console=tty0", "ras=cec_disable", "vetting.image=feedc0de"},
	}
}

func TestScripts(t *testing.T) {
	for name, script := range map[string][]byte{
		"boot": boot().Script(), "local": ipxe.Local("no vetting waits for this machine", ""),
		"unfit": ipxe.Unfit("the live image is for x86-64 and does not run on this machine: arm64"),
		"exit":  ipxe.Local("no vetting waits for this machine", core.HomeExit), "disk": ipxe.Local("no vetting waits for this machine", core.HomeDisk), "autoexec": ipxe.Autoexec(boot().Server),
	} {
		path := filepath.Join("testdata", name+".ipxe")

		if *update {
			if err := os.WriteFile(path, script, 0o644); err != nil {
				t.Fatal(err)
			}
		}

		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}

		if string(want) != string(script) {
			t.Errorf("%s is (go test -update writes it anew)\n%s", name, script)
		}
	}
}

// A plain "exit" drops UEFI firmware into its set-up menu (PowerEdge, ThinkSystem:
// netboot.xyz #1276), and an autoexec image that was left over is put in front of
// the initrd (FOG PR #1190).
func TestEveryScriptFreesWhatWasLeftAndEndsForTheFirmware(t *testing.T) {
	for name, script := range map[string][]byte{"boot": boot().Script(), "local": ipxe.Local("why", "")} {
		text := string(script)
		if !strings.HasPrefix(text, "#!ipxe\n") || !strings.Contains(text, "\nimgfree ||\n") {
			t.Errorf("%s frees nothing:\n%s", name, text)
		}

		if !strings.HasSuffix(text, "\niseq ${platform} efi && exit 1 ||\nsanboot --no-describe --drive 0x80 || exit 1\n") {
			t.Errorf("%s ends otherwise:\n%s", name, text)
		}
	}

	for _, way := range core.Homes() {
		for _, line := range strings.Split(string(ipxe.Local("why", way)), "\n") {
			if strings.HasSuffix(line, "exit") || strings.Contains(line, "sanboot") && !strings.HasSuffix(line, "|| exit 1") {
				t.Errorf("%s has %q", way, line)
			}
		}
	}

	if text := string(ipxe.Autoexec(boot().Server)); strings.Contains(text, "exit\n") || !strings.Contains(text, "exit 1") {
		t.Errorf("autoexec ends otherwise:\n%s", text)
	}
}

// FuzzScript: no name, argument or nonce becomes a command of iPXE.
func FuzzScript(f *testing.F) {
	for _, s := range []string{"bench-1", "a\nshell", "${net0/mac}", "x && shell", "x || reboot", "; poweroff", "#!ipxe", "ä\x00\x1b[31m"} {
		f.Add(s, s, s)
	}

	commands := func(script []byte) int {
		return strings.Count(string(script), "\n") + strings.Count(string(script), "&&") + strings.Count(string(script), "||") + strings.Count(string(script), "${")
	}

	f.Fuzz(func(t *testing.T, name, argument, nonce string) {
		b := boot()
		want := commands(b.Script())
		b.Name, b.Seed = name, nonce
		b.Cmdline = []string{argument, "ras=cec_disable", "vetting.image=feedc0de"}

		if script := b.Script(); commands(script) != want {
			t.Errorf("the script is\n%s", script)
		}

		if script := ipxe.Local(name, core.HomeDisk); commands(script) != commands(ipxe.Local("", core.HomeDisk)) {
			t.Errorf("the script is\n%s", script)
		}
	})
}
