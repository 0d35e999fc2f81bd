package grub_test

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"vetting/core"
	"vetting/netboot/grub"
)

var update = flag.Bool("update", false, "rewrite the golden files") //nolint:gochecknoglobals // a flag of the test

func boot() grub.Boot {
	return grub.Boot{
		Server: netip.MustParseAddr("10.77.0.1"), Host: "52:54:00:00:00:01", Name: "rack3-u17", Kernel: "/boot/0123456789ab/vmlinuz",
		Initrds: []string{"/boot/0123456789ab/base.cpio.zst", "/boot/0123456789ab/modules.cpio", "/seed/self.cpio"},
		Cmdline: []string{"BOOTIF=01-52-54-00-00-00-01", "console=ttyS0,115200n8", "vetting.image=feedc0de"},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()

	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile("testdata/" + name)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s (%v):\n%s", name, err, got)
	}
}

func TestConfigurations(t *testing.T) {
	b := boot()
	golden(t, "boot.cfg", b.Config())
	golden(t, "local.cfg", grub.Local("no vetting waits for this machine", core.HomeMissing))
	golden(t, "disk.cfg", grub.Local("no vetting waits for this machine", core.HomeDisk))
}

// What a person calls a host must be no command of GRUB's.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{"x", "a\nreboot", "$(halt)", "${prefix}", "x; halt", "\"\nhalt\n\"", "a && b", "`x`", "é\u2028"} {
		f.Add(s)
	}

	b := boot()
	want := strings.Count(string(b.Config()), "\n")

	f.Fuzz(func(t *testing.T, s string) {
		b := boot()
		b.Name, b.Cmdline = s, append(b.Cmdline, s)

		config := string(b.Config())
		if strings.Count(config, "\n") != want || strings.ContainsAny(strings.ReplaceAll(config, "; do\n", "\n"), "$`|&<>{}") {
			t.Errorf("%q gives\n%s", s, config)
		}
	})
}
