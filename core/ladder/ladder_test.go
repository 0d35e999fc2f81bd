package ladder_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/ladder"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a moment

// story tells steps as "at kind step detail…"; a detail that ends in "sent" was sent whole.
func story(t *testing.T, l *core.Ladder, lines ...string) (why []string) {
	t.Helper()

	for _, line := range lines {
		words := strings.SplitN(line, " ", 4)

		after, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatal(err)
		}

		step := core.BootStep{Time: start.Add(after), Kind: words[2], Client: core.BootClient{Kind: core.ClientKind(words[1])}}
		if len(words) == 4 {
			step.Detail = words[3]
		}

		if strings.HasSuffix(step.Detail, "sent") {
			step.Share = 100
		}

		if _, said := ladder.See(l, &step); said != "" {
			why = append(why, said)
		}
	}

	return why
}

// asks is what a firmware is offered at a moment: the offer is taken down as the
// DHCP server does.
func asks(t *testing.T, l *core.Ladder, kind core.ClientKind, after time.Duration) string {
	t.Helper()

	rung, _ := ladder.Next(*l, kind, start.Add(after))
	file := ladder.File(rung, kind)
	story(t, l, fmt.Sprintf("%s %s discover", after, kind), fmt.Sprintf("%s %s offer %s", after, kind, file))

	return file
}

func TestAMachineThatIsNotHeardOfClimbs(t *testing.T) {
	t.Parallel()

	for kind, want := range map[core.ClientKind][]string{
		core.ClientUEFI: {"snponly.efi", "ipxe.efi", "vetting.efi", "shimx64.efi", "snponly.efi"},
		core.ClientHTTP: {"snponly.efi", "ipxe.efi", "vetting.efi", "shimx64.efi", "snponly.efi"},
		core.ClientBIOS: {"undionly.kpxe", "ipxe.pxe", "undionly.kpxe"},
	} {
		var l core.Ladder

		at := time.Duration(0)

		for i, file := range want {
			if got := asks(t, &l, kind, at); got != file {
				t.Errorf("%s, boot %d: %s, want %s", kind, i+1, got, file)
			}

			story(t, &l, fmt.Sprintf("%s %s tftp %s sent", at+time.Second, kind, file))

			at += time.Second + ladder.Patience
		}
	}
}

// A machine that loses its power in the midst of a boot keeps the program that has worked
// on it; only when that is silent a second time, the next one is tried.
func TestWhatHasWorkedIsGivenOnceMore(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp snponly.efi sent", "2s ipxe script x", "20s - hello v")

	at := time.Hour
	for boot, want := range []string{"snponly.efi", "snponly.efi", "ipxe.efi", "vetting.efi"} {
		for range 2 { // what is offered is what is acknowledged
			if got := asks(t, &l, core.ClientUEFI, at); got != want {
				t.Errorf("boot %d: %s, want %s", boot+1, got, want)
			}
		}

		story(t, &l, fmt.Sprintf("%s uefi tftp %s sent", at+time.Second, want))

		at += time.Second + ladder.Patience
	}

	// Once it has worked again, it is spared again.
	story(t, &l, at.String()+" uefi offer snponly.efi", (at+time.Second).String()+" uefi tftp snponly.efi sent", (at+2*time.Second).String()+" ipxe script x")

	if l.Again {
		t.Errorf("%+v", l)
	}
}

func TestOneSecondBeforeItsTimeNothingChanges(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp snponly.efi sent", "2s ipxe discover")

	if got := asks(t, &l, core.ClientUEFI, 90*time.Second); got != "snponly.efi" {
		t.Errorf("after 89 s: %s", got)
	}
}

func TestWhatWasNotSentWholeIsNoRungTried(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp-probe snponly.efi", "2s uefi tftp-failed snponly.efi after 6s")

	if got := asks(t, &l, core.ClientUEFI, time.Hour); got != "snponly.efi" {
		t.Errorf("got %s", got)
	}
}

// OVMF with Microsoft's keys goes on to HTTP boot 0.3 s after it has refused a program.
func TestFirmwareThatRefusesAProgramIsGivenTheShim(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp snponly.efi sent")

	if got := asks(t, &l, core.ClientHTTP, 5*time.Second); got != "shimx64.efi" {
		t.Errorf("got %s", got)
	}

	story(t, &l, "6s http loader shimx64.efi sent", "7s http loader grubx64.efi sent", "8s http script 01RUN")

	// It is the first one from now on, though the machine never came as far as the agent.
	if got := asks(t, &l, core.ClientUEFI, time.Hour); got != "shimx64.efi" || !l.Refused {
		t.Errorf("at the next boot: %s, %+v", got, l)
	}
}

// Firmware boots from the acknowledgement: it must name what the offer named, also where
// the shim was silent and the ladder goes on below it.
func TestOfferAndAcknowledgementNameTheSameAfterASilentShim(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp snponly.efi sent")
	asks(t, &l, core.ClientHTTP, 5*time.Second)
	story(t, &l, "6s http loader shimx64.efi sent")

	if !l.Refused {
		t.Fatalf("%+v", l)
	}

	at := 6*time.Second + ladder.Patience
	if got := asks(t, &l, core.ClientUEFI, at); got != "snponly.efi" {
		t.Errorf("offered: %s", got)
	}

	if rung, _ := ladder.Next(l, core.ClientUEFI, start.Add(at+time.Second)); ladder.File(rung, core.ClientUEFI) != "snponly.efi" {
		t.Errorf("acknowledged: %s", rung)
	}
}

func TestAProgramThatSpokeWasNotRefused(t *testing.T) {
	t.Parallel()

	for _, word := range []string{"2s ipxe discover", "2s uefi tftp autoexec.ipxe sent"} {
		var l core.Ladder

		asks(t, &l, core.ClientUEFI, 0)
		story(t, &l, "1s uefi tftp snponly.efi sent", word)

		if got := asks(t, &l, core.ClientUEFI, 9*time.Second); got != "snponly.efi" {
			t.Errorf("after %q: %s", word, got)
		}
	}
}

func TestTheRungThatWorkedStays(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp snponly.efi sent", "2s ipxe discover")

	if got := asks(t, &l, core.ClientUEFI, 3*time.Minute); got != "ipxe.efi" {
		t.Fatalf("got %s", got)
	}

	story(t, &l, "181s uefi tftp ipxe.efi sent", "185s ipxe discover", "186s ipxe script 01RUN", "220s - hello the agent speaks, version 1")

	if got := asks(t, &l, core.ClientUEFI, 24*time.Hour); got != "ipxe.efi" || l.Worked != core.LoaderIPXE {
		t.Errorf("a day later: %s, %+v", got, l)
	}
}

func TestTheImageAsOneProgramIsHeardByItsSeed(t *testing.T) {
	t.Parallel()

	l := core.Ladder{Rung: core.LoaderUKI}

	asks(t, &l, core.ClientUEFI, 0)
	story(t, &l, "1s uefi tftp vetting.efi sent", "20s agent seed", "21s - hello the agent speaks, version 1")

	if got := asks(t, &l, core.ClientUEFI, time.Hour); got != "vetting.efi" || l.Worked != core.LoaderUKI {
		t.Errorf("%s, %+v", got, l)
	}
}

func TestAMachineWithSecureBootBeginsWithTheShim(t *testing.T) {
	t.Parallel()

	l := core.Ladder{Rung: core.LoaderSNPOnly, Worked: core.LoaderSNPOnly}
	story(t, &l, "1s - hello the agent speaks, version 1"+core.SaysSecureBoot) // from a stick

	if got := asks(t, &l, core.ClientUEFI, time.Hour); got != "shimx64.efi" || l.Worked != core.LoaderSNPOnly {
		t.Errorf("%s, %+v", got, l)
	}
}

func TestPeopleReadWhyAnotherProgramIsTried(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	why := story(t, &l, "0s uefi offer snponly.efi", "1s uefi tftp snponly.efi sent", "2s ipxe discover", "120s uefi offer ipxe.efi",
		"121s uefi tftp ipxe.efi sent", "123s http offer http://10.77.0.1/boot/shimx64.efi")
	if len(why) != 2 || !strings.Contains(why[0], "snponly.efi was sent 1m59s ago") || !strings.Contains(why[0], "ipxe.efi is tried now") ||
		!strings.Contains(why[1], "Secure Boot") {
		t.Errorf("%q", why)
	}
}

func TestAMachineThatGoesToItsOwnDiskTriesNothing(t *testing.T) {
	t.Parallel()

	l := core.Ladder{Rung: core.LoaderIPXE, Worked: core.LoaderIPXE}
	before := l

	story(t, &l, "0s uefi discover", "0s uefi offer no-boot", "1s uefi tftp-missing no-boot", "2s other offer")

	if l != before {
		t.Errorf("%+v", l)
	}
}

// Whatever comes in whatever order, there is a rung, and never a signed machine's that
// is not signed.
func FuzzLadder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, int64(5))

	lines := []string{
		"uefi offer snponly.efi", "uefi tftp snponly.efi sent", "ipxe discover", "ipxe script x", "- hello v" + core.SaysSecureBoot, "- hello v",
		"http offer http://h/boot/shimx64.efi", "http loader shimx64.efi sent", "bios offer undionly.kpxe", "bios tftp undionly.kpxe sent", "agent seed", "uefi offer vetting.efi",
	}

	f.Fuzz(func(t *testing.T, order []byte, pace int64) {
		var l core.Ladder

		at := time.Duration(0)

		for _, i := range order {
			at += time.Duration(max(pace, 0) % int64(3*time.Minute))
			story(t, &l, at.String()+" "+lines[int(i)%len(lines)])

			for _, kind := range []core.ClientKind{core.ClientUEFI, core.ClientHTTP, core.ClientBIOS, core.ClientIPXE} {
				if rung, _ := ladder.Next(l, kind, start.Add(at)); ladder.File(rung, kind) == "" || rung == "" {
					t.Fatalf("no rung for %s with %+v", kind, l)
				}
			}

			if rung, _ := ladder.Next(l, core.ClientUEFI, start.Add(at)); l.Refused && l.Fetched.IsZero() && rung != core.LoaderShim {
				t.Fatalf("%s with %+v", rung, l)
			}
		}
	})
}

// Where another DHCP server names the lowest rung for all, what stands for it in a boot is
// told as an offer would be.
func TestTheLadderIsClimbedUnderAnothersNameToo(t *testing.T) {
	t.Parallel()

	var l core.Ladder

	stands := func(kind core.ClientKind, at time.Duration) string {
		rung, _ := ladder.Next(l, kind, start.Add(at))
		file := ladder.File(rung, kind)
		story(t, &l, fmt.Sprintf("%s %s discover", at, kind), fmt.Sprintf("%s %s stand %s", at, kind, file))

		return file
	}

	for i, want := range []string{"snponly.efi", "ipxe.efi", "vetting.efi", "shimx64.efi"} {
		at := time.Duration(i) * 5 * time.Minute
		if got := stands(core.ClientUEFI, at); got != want {
			t.Errorf("boot %d: %s, want %s", i, got, want)
		}

		story(t, &l, fmt.Sprintf("%s uefi tftp %s by the name of snponly.efi sent", at+time.Second, want))
	}

	l = core.Ladder{}

	stands(core.ClientUEFI, 0)
	story(t, &l, "5s uefi tftp snponly.efi sent")

	if got := stands(core.ClientHTTP, 6*time.Second); got != "shimx64.efi" || !l.Refused {
		t.Errorf("after a refusal: %s, %+v", got, l)
	}

	// What another server names itself is what it is on.
	l = core.Ladder{}
	if story(t, &l, "1s uefi tftp shimx64.efi sent"); l.Rung != core.LoaderShim || l.Fetched.IsZero() {
		t.Errorf("the shim by its own name: %+v", l)
	}
}
