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
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "6s http offer http://10.77.0.1/boot/no-boot", "6s http ack http://10.77.0.1/boot/no-boot",
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
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "35s uefi offer snponly.efi", "36s ipxe offer http://10.77.0.1/ipxe/x", "37s ipxe script local",
				"70s uefi offer snponly.efi", "71s ipxe offer http://10.77.0.1/ipxe/x", "72s ipxe script local", "5m uefi offer snponly.efi",
			},
			ways: []core.Home{"missing", "exit", "exit", "disk", "disk", "disk"}, worked: core.HomeDisk,
			said: []string{
				"its firmware was back 34s after it was sent to its own disk by a file that is not there: a boot program that gives it back to its firmware is tried now",
				"its firmware was back 33s after it was sent to its own disk by a boot program that gives it back to its firmware: a boot program that starts its disk is tried now",
			},
		},
		"BIOS that begins anew, until the first way comes again": {
			steps: []string{
				"0s bios offer undionly.kpxe", "3s ipxe script local", "30s bios offer undionly.kpxe", "33s ipxe script local",
				"60s bios offer no-boot", "61s bios tftp-missing no-boot", "90s bios offer undionly.kpxe",
			},
			ways: []core.Home{"disk", "exit", "missing", "disk"},
			said: []string{
				"its firmware was back 27s after it was sent to its own disk by a boot program that starts its disk: a boot program that gives it back to its firmware is tried now",
				"its firmware was back 27s after it was sent to its own disk by a boot program that gives it back to its firmware: a file that is not there is tried now",
				"its firmware was back 29s after it was sent to its own disk by a file that is not there: a boot program that starts its disk is tried now",
			},
		},
		"the system on the disk is heard, and restarted by somebody within a minute": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "30s other offer", "55s uefi offer no-boot", "56s uefi tftp-missing no-boot", "30m uefi offer no-boot",
			},
			ways: []core.Home{"missing", "missing", "missing"}, worked: core.HomeMissing,
		},
		"a way that has worked is given once more": {
			steps: []string{
				"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "10m uefi offer no-boot", "601s uefi tftp-missing no-boot",
				"640s uefi offer no-boot", "641s uefi tftp-missing no-boot", "680s uefi offer snponly.efi",
			},
			ways: []core.Home{"missing", "missing", "missing", "exit"}, worked: core.HomeMissing,
			said: []string{"its firmware was back 39s after it was sent to its own disk by a file that is not there: a boot program that gives it back to its firmware is tried now"},
		},
		"a run begins meanwhile": {
			steps: []string{"0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "30s ipxe script 01RUN", "60s uefi offer no-boot"},
			ways:  []core.Home{"missing", "missing"},
		},
		"an iPXE that is the firmware": {
			steps: []string{"0s ipxe offer http://10.77.0.1/ipxe/x", "1s ipxe script local", "40s ipxe offer http://10.77.0.1/ipxe/x"},
			ways:  []core.Home{"exit", "disk"},
			said:  []string{"its firmware was back 39s after it was sent to its own disk by a boot program that gives it back to its firmware: a boot program that starts its disk is tried now"},
		},
		"on to another boot server": {
			steps: []string{"0s ipxe offer http://10.77.0.1/ipxe/x", "1s ipxe script local: on to http://192.0.2.1/next.ipxe", "40s ipxe offer http://10.77.0.1/ipxe/x"},
			ways:  []core.Home{"exit", "exit"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s core.Homeward

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
