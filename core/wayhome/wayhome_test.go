package wayhome_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/wayhome"
)

// told is a boot as steps "34s uefi offer no-boot", of the first port unless a word "other-port"
// comes last; the way that the machine would be given is asked before each offer.
func told(t *testing.T, s *core.Homeward, lines ...string) (ways []core.Home, said []string) {
	t.Helper()

	begin := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

	for _, line := range lines {
		words := strings.Fields(line)

		after, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatal(err)
		}

		client := core.BootClient{MAC: "52:54:00:00:00:01", Kind: core.ClientKind(words[1]), Arch: 7}
		if client.Kind == core.ClientBIOS {
			client.Arch = 0
		}

		switch client.Kind {
		case core.ClientHTTP:
			client.Arch = 16
		case "riscv":
			client.Kind, client.Arch = core.ClientUEFI, 27
		}

		if words[len(words)-1] == "other-port" {
			client.MAC, words = "52:54:00:00:00:02", words[:len(words)-1]
		}

		if words[2] == "offer" && client.Kind != core.ClientOther {
			way, _ := wayhome.Next(*s, &client, begin.Add(after))
			ways = append(ways, way)
		}

		step := core.BootStep{Time: begin.Add(after), MAC: client.MAC, Kind: words[2], Detail: strings.Join(words[3:], " "), Client: client}
		if why := wayhome.See(s, &step, words[2] == "script" && len(words) > 3 && words[3] == "01RUN"); why != "" {
			said = append(said, why)
		}
	}

	return ways, said
}

func TestTheWaysHome(t *testing.T) {
	for name, c := range map[string]struct {
		disks  bool // several
		steps  []string
		ways   []core.Home
		said   []string
		worked core.Home
	}{
		"a machine that gets there": {
			steps: []string{"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "10m uefi offer no-boot"},
			ways:  []core.Home{"missing", "missing"}, worked: core.HomeMissing,
		},
		"the next entries of one boot order": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "6s http offer http://10.77.0.1/boot/no-boot", "7s http ack", "8s http http-missing no-boot",
				"12s uefi offer no-boot other-port", "13s uefi tftp-missing no-boot other-port",
			},
			ways: []core.Home{"missing", "missing", "missing"},
		},
		"a firmware that repeats itself at once": {
			steps: []string{"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "9s uefi offer no-boot"},
			ways:  []core.Home{"missing", "missing"},
		},
		"UEFI that begins anew": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "35s uefi offer no-boot", "36s uefi tftp-missing no-boot",
				"70s uefi offer snponly.efi", "71s ipxe offer http://10.77.0.1/ipxe/x", "72s ipxe script local",
				"110s uefi offer snponly.efi", "111s ipxe offer http://10.77.0.1/ipxe/x", "112s ipxe script local",
				"150s uefi offer snponly.efi", "152s ipxe script local", "200s other request", "201s other ack", "9m uefi offer snponly.efi", "541s ipxe script local", "20m uefi offer snponly.efi",
			},
			ways: []core.Home{"missing", "missing", "exit", "exit", "exit", "exit", "disk", "disk", "disk"}, worked: core.HomeDisk,
			said: []string{
				"its firmware was back 34s after it was sent to its own disk by a file that is not there, and the time before: a boot program that gives it back to its firmware is tried now",
				"its firmware was back 38s after it was sent to its own disk by a boot program that gives it back to its firmware, and the time before: a boot program that starts its disk is tried now",
			},
		},
		"UEFI by HTTP alone that begins anew": {
			steps: []string{
				"0s http offer http://10.77.0.1/boot/no-boot", "0s http request", "0s http ack", "1s http http-missing no-boot",
				"40s http offer http://10.77.0.1/boot/no-boot", "40s http ack", "41s http http-missing no-boot", "80s http offer http://10.77.0.1/boot/snponly.efi",
			},
			ways: []core.Home{"missing", "missing", "exit"},
			said: []string{"its firmware was back 39s after it was sent to its own disk by a file that is not there, and the time before: a boot program that gives it back to its firmware is tried now"},
		},
		"BIOS that begins anew, until the first way comes again": {
			steps: []string{
				"0s bios offer undionly.kpxe", "3s ipxe script local", "30s bios offer undionly.kpxe", "33s ipxe script local",
				"60s bios offer undionly.kpxe", "63s ipxe script local", "90s bios offer undionly.kpxe", "93s ipxe script local",
				"120s bios offer no-boot", "121s bios tftp-missing no-boot", "150s bios offer no-boot", "151s bios tftp-missing no-boot", "180s bios offer undionly.kpxe",
			},
			ways: []core.Home{"disk", "disk", "exit", "exit", "missing", "missing", "disk"},
			said: []string{
				"its firmware was back 27s after it was sent to its own disk by a boot program that starts its disk, and the time before: a boot program that gives it back to its firmware is tried now",
				"its firmware was back 27s after it was sent to its own disk by a boot program that gives it back to its firmware, and the time before: a file that is not there is tried now",
				"its firmware was back 29s after it was sent to its own disk by a file that is not there, and the time before: a boot program that starts its disk is tried now",
			},
		},
		"UEFI with several disks": {
			disks: true,
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "35s uefi offer no-boot", "36s uefi tftp-missing no-boot",
				"70s uefi offer snponly.efi", "72s ipxe script local", "110s uefi offer snponly.efi", "112s ipxe script local", "150s uefi offer no-boot",
			},
			ways: []core.Home{"missing", "missing", "exit", "exit", "missing"},
			said: []string{
				"its firmware was back 34s after it was sent to its own disk by a file that is not there, and the time before: a boot program that gives it back to its firmware is tried now",
				"its firmware was back 38s after it was sent to its own disk by a boot program that gives it back to its firmware, and the time before: a file that is not there is tried now" +
					"; it has several disks, so that one is started by a boot program only where you choose so: vetting host edit HOST --home disk",
			},
		},
		"a boot program that hangs is not what works": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "35s uefi offer no-boot", "36s uefi tftp-missing no-boot",
				"70s uefi offer snponly.efi", "72s ipxe script local", "20m uefi offer no-boot", "1201s uefi tftp-missing no-boot",
			},
			ways: []core.Home{"missing", "missing", "exit", "missing"},
			said: []string{
				"its firmware was back 34s after it was sent to its own disk by a file that is not there, and the time before: a boot program that gives it back to its firmware is tried now",
				"nothing was heard of the system on its disk after it was sent there by a boot program that gives it back to its firmware: a file that is not there is tried again",
			},
		},
		"a machine that is switched from BIOS to UEFI, and back": {
			steps: []string{
				"0s bios offer undionly.kpxe", "3s ipxe script local", "10m uefi offer no-boot", "601s uefi tftp-missing no-boot", "640s uefi offer no-boot", "641s uefi tftp-missing no-boot",
				"680s uefi offer snponly.efi", "682s ipxe script local", "720s bios offer undionly.kpxe",
			},
			ways: []core.Home{"disk", "missing", "missing", "exit", "disk"},
			said: []string{"its firmware was back 39s after it was sent to its own disk by a file that is not there, and the time before: a boot program that gives it back to its firmware is tried now"},
		},
		"a firmware for which there is no program": {
			steps: []string{
				"0s riscv offer no-boot", "1s riscv tftp-missing no-boot", "30s riscv offer no-boot", "31s riscv tftp-missing no-boot", "60s riscv offer no-boot",
			},
			ways: []core.Home{"missing", "missing", "missing"},
		},
		"what asks for the missing file that it was not told of": {
			steps: []string{
				"0s bios offer undionly.kpxe", "1s bios tftp-missing no-boot", "30s bios offer undionly.kpxe", "31s bios tftp-missing no-boot", "60s bios offer undionly.kpxe",
			},
			ways: []core.Home{"disk", "disk", "disk"},
		},
		"a system that had its address before": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "30s other request", "31s other ack", "55s uefi offer no-boot", "56s uefi tftp-missing no-boot",
				"80s other overheard", "100s uefi offer no-boot",
			},
			ways: []core.Home{"missing", "missing", "missing"}, worked: core.HomeMissing,
		},
		"the system on the disk is heard, and restarted by somebody within a minute": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "30s other offer", "55s uefi offer no-boot", "56s uefi tftp-missing no-boot", "30m uefi offer no-boot",
			},
			ways: []core.Home{"missing", "missing", "missing"}, worked: core.HomeMissing,
		},
		"a way that has worked is given once more, as each is": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "10m uefi offer no-boot", "601s uefi tftp-missing no-boot",
				"640s uefi offer no-boot", "641s uefi tftp-missing no-boot", "680s uefi offer snponly.efi",
			},
			ways: []core.Home{"missing", "missing", "missing", "exit"}, worked: core.HomeMissing,
			said: []string{"its firmware was back 39s after it was sent to its own disk by a file that is not there, and the time before: a boot program that gives it back to its firmware is tried now"},
		},
		"a run begins meanwhile": {
			steps: []string{"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "30s ipxe script 01RUN", "60s uefi offer no-boot"},
			ways:  []core.Home{"missing", "missing"},
		},
		"an iPXE that is the firmware": {
			steps: []string{
				"0s ipxe offer http://10.77.0.1/ipxe/x", "1s ipxe script local", "40s ipxe offer http://10.77.0.1/ipxe/x", "41s ipxe script local", "80s ipxe offer http://10.77.0.1/ipxe/x",
			},
			ways: []core.Home{"exit", "exit", "disk"},
			said: []string{"its firmware was back 39s after it was sent to its own disk by a boot program that gives it back to its firmware, and the time before: a boot program that starts its disk is tried now"},
		},
		"on to another boot server": {
			steps: []string{"0s ipxe offer http://10.77.0.1/ipxe/x", "1s ipxe script local: on to http://192.0.2.1/next.ipxe", "40s ipxe offer http://10.77.0.1/ipxe/x"},
			ways:  []core.Home{"exit", "exit"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := core.Homeward{Several: c.disks}

			ways, said := told(t, &s, c.steps...)
			if diff := cmp.Diff(c.ways, ways); diff != "" {
				t.Error(diff)
			}

			if diff := cmp.Diff(c.said, said); diff != "" {
				t.Error(diff)
			}

			if s.Worked != c.worked {
				t.Errorf("worked: %q, want %q", s.Worked, c.worked)
			}
		})
	}
}

func TestTheImageAsOneProgramKnowsNoWayBack(t *testing.T) {
	for rung, want := range map[core.Loader]core.Loader{
		"": "", core.LoaderSNPOnly: core.LoaderSNPOnly, core.LoaderIPXE: core.LoaderIPXE, core.LoaderUKI: core.LoaderShim, core.LoaderShim: core.LoaderShim,
	} {
		if got := wayhome.Loader(rung); got != want {
			t.Errorf("%q goes home by %q, want %q", rung, got, want)
		}
	}
}
