package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/notify"
)

// sent lists what arrived at a target.
func (b *bench) sent(target string) (titles []string) {
	for _, line := range b.noted() {
		if title, ok := strings.CutPrefix(line, "sent to "+target+": "); ok {
			titles = append(titles, title)
		}
	}

	return titles
}

// storm has twenty hosts fail at once, all but two of them gravely.
func storm(b *bench) {
	for n := range 20 {
		severity := core.Critical
		if n >= 18 {
			severity = core.Warning
		}

		b.emit(core.EventNotice, core.Notice{Code: "threshold/breach", Severity: severity, Topic: core.StageFailed, HostName: fmt.Sprintf("rack1-u%02d", n), Text: "too hot"})
	}

	synctest.Wait()
}

// Twenty hosts that fail at once are five messages and a digest; a program gets twenty.
func TestAStormIsToldInOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coretest.NewLedger(), notify.Config{
			Targets: []notify.Target{target("phone", 0), program("hook")}, Routes: []notify.Route{{To: []string{"phone", "hook"}}},
		})

		stop := b.run()
		synctest.Wait()
		storm(b)

		if n := len(b.sent("phone")); n != 5 {
			t.Errorf("%d messages at once, want 5", n)
		}

		time.Sleep(time.Minute + time.Second)
		synctest.Wait()

		if got := b.sent("phone"); len(got) != 6 || got[5] != "15 more messages: 13 critical, 2 warnings" {
			t.Errorf("the phone was told %q", got)
		}

		if n := len(b.sent("hook")); n != 20 {
			t.Errorf("the program was told %d times", n)
		}

		// Each is on record, and says how it came.
		all := b.came()
		for seq := 1; seq <= 20; seq++ {
			o, kept := all[fmt.Sprintf("%d phone", seq)]
			if !kept || !o.OK || (seq > 5) != (o.Detail == "in one message of 15") || o.Host != coretest.MAC(1) {
				t.Errorf("%d: %+v", seq, o)
			}
		}

		// The storm goes on: nothing comes by itself before it is over.
		storm(b)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()

		if got := b.sent("phone"); len(got) != 7 || got[6] != "20 more messages: 18 critical, 2 warnings" {
			t.Errorf("the phone was told %q", got[6:])
		}

		time.Sleep(2 * time.Minute)
		b.tell(core.RunFailed, core.Critical)
		synctest.Wait()

		if got := b.sent("phone"); len(got) != 8 || !strings.HasPrefix(got[7], "rack1-u01: ") {
			t.Errorf("after the storm: %q", got[7:])
		}

		stop()
	})
}

// What was gathered when the appliance stops is on record as not sent, so that it can be.
func TestAStormThatTheApplianceDoesNotOutliveIsOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, coretest.NewLedger(), notify.Config{Targets: []notify.Target{target("phone", 0)}, Routes: []notify.Route{{To: []string{"phone"}}}})

		stop := b.run()
		synctest.Wait()
		storm(b)
		stop()

		lost := 0

		for _, o := range b.came() {
			if !o.OK && o.Code == "notify/stopped" {
				lost++
			}
		}

		if got := len(b.sent("phone")); got != 5 || lost != 15 {
			t.Errorf("%d were sent and %d are on record as not sent", got, lost)
		}
	})
}
