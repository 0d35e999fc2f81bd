package netboot_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot"
	"vetting/netboot/rogue"
)

// office is another server that answers whoever asks; shy is one that knows its
// machines and is only overheard.
func office() rogue.Offer {
	return rogue.Offer{Server: netip.MustParseAddr("10.9.0.1"), MAC: "02:00:00:00:00:09", Kind: dhcpv4.MessageTypeOffer}
}

func shy() rogue.Offer {
	return rogue.Offer{
		Server: netip.MustParseAddr("10.77.0.2"), MAC: "02:00:00:00:00:02", To: "52:54:00:00:00:99", Kind: dhcpv4.MessageTypeAck,
		File: "pxelinux.0",
	}
}

// lan is a network on which the tests let servers come and go.
type lan struct {
	t      *testing.T
	server *netboot.Server
	world  *world

	// What follows is also used by the search, in a goroutine of its own: a clock that
	// both wait for orders nothing.
	mu       sync.Mutex
	answers  []rogue.Offer // to searches
	searches []time.Duration
	machine  bool // the servers' machines are there
	start    time.Time
}

// inLAN runs test in a bubble of time, on a network that is searched.
func inLAN(t *testing.T, test func(l *lan)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, w := server(t, nil)
		l := &lan{t: t, server: s, world: w, start: time.Now()}

		s.SearchWith(func() []rogue.Offer {
			l.mu.Lock()
			defer l.mu.Unlock()

			l.searches = append(l.searches, time.Since(l.start))

			return l.answers
		}, func(addr netip.Addr) {
			l.mu.Lock()
			there := l.machine
			l.mu.Unlock()

			for _, o := range []rogue.Offer{shy(), office()} {
				if there && addr == o.Server {
					s.HearARP(addr, o.MAC)
				}
			}
		})

		go func() {
			if err := s.Seek(t.Context()); err != nil {
				t.Error(err)
			}
		}()

		synctest.Wait()
		test(l)
	})
}

// twin is another appliance that serves, with a card of its own. It speaks to appliances
// that ask; to is what they ask with.
func twin(mac core.MAC, to core.MAC) rogue.Offer {
	return rogue.Offer{Server: netip.MustParseAddr("10.77.0.9"), MAC: mac, To: to, Kind: dhcpv4.MessageTypeOffer, Appliance: true}
}

// let says what answers searches from now on, and whether the servers' machines are there.
func (l *lan) let(machine bool, answers ...rogue.Offer) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.machine, l.answers = machine, answers
}

// searched returns when the network was searched.
func (l *lan) searched() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()

	return slices.Clone(l.searches)
}

// after lets time pass, and returns whether the appliance is silent then, and
// the alarms on the way.
func (l *lan) after(d time.Duration) (silent bool, alarms []string) {
	time.Sleep(d)
	synctest.Wait()

	silent, _ = l.server.Silent()

	return silent, l.world.told()
}

func TestTheNetworkIsSearchedAgainOnceASwitchForwards(t *testing.T) {
	inLAN(t, func(l *lan) {
		if silent, alarms := l.after(11 * time.Minute); silent || alarms != nil {
			t.Errorf("silent %t, told %q", silent, alarms)
		}

		if want := []time.Duration{31 * time.Second, 331 * time.Second, 631 * time.Second}; !slices.Equal(l.searched(), want) {
			t.Errorf("searched after %s, want %s", l.searched(), want)
		}
	})
}

func TestASecondServerThatAnswersIsFoundAndItsEndNoticed(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.let(false, office())

		silent, alarms := l.after(31 * time.Second)
		if want := []string{"netboot/rogue-dhcp The DHCP server 10.9.0.1 (MAC 02:00:00:00:00:09) is at work on none. Nothing is offered until it is gone."}; !silent || !slices.Equal(alarms, want) {
			t.Errorf("silent %t, told %q", silent, alarms)
		}

		if silent, alarms := l.after(time.Hour); !silent || alarms != nil {
			t.Errorf("an hour later: silent %t, told %q", silent, alarms)
		}

		if rest := l.searched()[2] - l.searched()[1]; rest != 30*time.Second {
			t.Errorf("searched every %s meanwhile", rest)
		}

		// That it is overheard as well changes nothing: its word counts, and not that
		// its machine is still there.
		l.server.Overhear(office())

		l.let(true)

		if silent, alarms := l.after(65 * time.Second); !silent || alarms != nil {
			t.Errorf("after one search without it: silent %t, told %q", silent, alarms)
		}

		silent, alarms = l.after(time.Minute)
		if want := []string{"netboot/rogue-gone The DHCP server 10.9.0.1 (MAC 02:00:00:00:00:09) is gone from none. Machines are answered again."}; silent || !slices.Equal(alarms, want) {
			t.Errorf("silent %t, told %q", silent, alarms)
		}
	})
}

func TestASecondServerThatIsOnlyOverheardIsBelievedGoneWithItsMachine(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.let(true)
		l.server.Overhear(shy())

		if silent, alarms := l.after(0); !silent || len(alarms) != 1 || !strings.Contains(alarms[0], "10.77.0.2 (MAC 02:00:00:00:00:02) and the boot file pxelinux.0") {
			t.Errorf("silent %t, told %q", silent, alarms)
		}

		if silent, alarms := l.after(time.Hour); !silent || alarms != nil {
			t.Errorf("an hour later: silent %t, told %q", silent, alarms)
		}

		l.let(false)

		if silent, alarms := l.after(2 * time.Minute); silent || len(alarms) != 1 || !strings.HasPrefix(alarms[0], "netboot/rogue-gone ") {
			t.Errorf("silent %t, told %q", silent, alarms)
		}
	})
}

func TestSilenceLastsUntilTheLastOfThemIsGone(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.server.Overhear(shy())
		l.let(false, office())

		silent, alarms := l.after(5 * time.Minute)
		if !silent || len(alarms) != 3 || !strings.HasSuffix(alarms[2], "Others are still there: 10.9.0.1 (MAC 02:00:00:00:00:09).") {
			t.Errorf("silent %t, told %q", silent, alarms)
		}
	})
}

func TestAMachineThatChoosesAnotherServerGivesItAway(t *testing.T) {
	inLAN(t, func(l *lan) {
		// What DHCP reports of a REQUEST: no more than the server's address.
		l.server.Overhear(rogue.Offer{Server: netip.MustParseAddr("10.9.0.7"), To: "52:54:00:00:00:99"})

		if silent, alarms := l.after(0); !silent || len(alarms) != 1 || !strings.Contains(alarms[0], "The DHCP server 10.9.0.7 is at work") {
			t.Errorf("silent %t, told %q", silent, alarms)
		}

		// Its frame is seen later: the name is complete then, and nobody told twice.
		o := shy()
		o.Server = netip.MustParseAddr("10.9.0.7")
		l.server.Overhear(o)

		if _, who := l.server.Silent(); !strings.Contains(who, string(o.MAC)) {
			t.Errorf("named %q", who)
		}

		if _, alarms := l.after(0); alarms != nil {
			t.Errorf("told again: %q", alarms)
		}

		if err := l.server.Health(); err == nil {
			t.Error("healthy while silent")
		}
	})
}

func TestAFloodOfMadeUpServersCostsLittle(t *testing.T) {
	inLAN(t, func(l *lan) {
		for i := range 10_000 {
			l.server.Overhear(rogue.Offer{Server: netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})})
		}

		silent, alarms := l.after(0)
		if _, who := l.server.Silent(); !silent || len(alarms) != 64 || strings.Count(who, "10.9.") != 64 {
			t.Errorf("silent %t, told %d times, of %s", silent, len(alarms), fmt.Sprint(who))
		}
	})
}

// A proxy only says what to load: it does not silence us, and our offers are made
// to come first.
func TestAnotherProxyIsToldOfAndNoReasonForSilence(t *testing.T) {
	inLAN(t, func(l *lan) {
		o := office()
		o.Proxy = true
		l.let(false, o)

		silent, alarms := l.after(31 * time.Second)
		if silent || len(alarms) != 1 || !strings.HasPrefix(alarms[0], "netboot/other-proxy The proxy 10.9.0.1 (MAC 02:00:00:00:00:09) on none ") {
			t.Errorf("silent %t, told %q", silent, alarms)
		}
	})
}

// One that is overheard is asked at once: it may be gone before the next search, and its
// machine stay.
func TestAServerThatIsOverheardIsAskedAtOnce(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.let(true, office())
		l.server.Overhear(office())

		if silent, _ := l.after(time.Second); !silent || len(l.searched()) != 1 {
			t.Fatalf("silent %t, searched after %s", silent, l.searched())
		}

		l.let(true)

		if silent, alarms := l.after(3 * time.Minute); silent || len(alarms) != 1 || !strings.HasPrefix(alarms[0], "netboot/rogue-gone ") {
			t.Errorf("silent %t, told %q", silent, alarms)
		}
	})
}

// Of two appliances that both began, since their switch forwarded nothing yet, the one with
// the lower MAC goes on: each is answered by the other, also by one that is silent.
func TestOfTwoAppliancesThatBothServeOneFallsSilent(t *testing.T) {
	const lower, higher = core.MAC("52:54:00:77:00:04"), core.MAC("52:54:00:77:00:06")

	for mac, want := range map[core.MAC]bool{lower: true, higher: false} {
		inLAN(t, func(l *lan) {
			l.let(true, twin(mac, ""))

			silent, alarms := l.after(40 * time.Second)
			if silent != want || len(alarms) != 1 || !strings.Contains(alarms[0], "another appliance at 10.77.0.9 (MAC "+string(mac)+")") {
				t.Errorf("beside %s: silent %t, told %q", mac, silent, alarms)
			}

			// What the other says to it, or to a third one, is overheard as well.
			l.server.Overhear(twin(mac, "02:00:00:00:00:05"))

			if silent, _ := l.after(0); silent != want {
				t.Errorf("beside %s, overheard: silent %t", mac, silent)
			}

			before := len(l.searched())
			if silent, alarms := l.after(20 * time.Minute); silent != want || alarms != nil || len(l.searched())-before > 40 {
				t.Errorf("beside %s, later: silent %t, told %q, searched %d times", mac, silent, alarms, len(l.searched())-before)
			}
		})
	}
}

// A proxy falls silent for nobody: beside it the one that gives addresses does.
func TestBesideAnApplianceThatIsAProxyTheOtherFallsSilent(t *testing.T) {
	inLAN(t, func(l *lan) {
		o := twin("52:54:00:77:00:06", "")
		o.Firm = true
		l.let(true, o)

		if silent, alarms := l.after(40 * time.Second); !silent || len(alarms) != 1 {
			t.Errorf("silent %t, told %q", silent, alarms)
		}
	})
}

// The answer of the other to a machine silences at once, whoever it is; when it is asked it
// says that it is an appliance, and the one with the lower MAC goes on.
func TestAnApplianceThatIsOverheardAtWorkIsAsked(t *testing.T) {
	inLAN(t, func(l *lan) {
		const higher = core.MAC("52:54:00:77:00:06")

		l.let(true, twin(higher, ""))

		o := shy()
		o.Server, o.MAC = twin(higher, "").Server, higher
		l.server.Overhear(o)

		if silent, _ := l.after(time.Second); silent {
			t.Error("silent although it was asked")
		}
	})
}

// What was overheard in a session that ended starts no search in the next one, while the
// switch forwards nothing.
func TestASearchLeftFromAnotherSessionIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := server(t, nil)
		searches := 0

		s.SearchWith(func() []rogue.Offer {
			searches++

			return nil
		}, func(netip.Addr) {})
		s.Overhear(office())

		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()

		if err := s.Seek(ctx); err != nil || searches != 0 {
			t.Errorf("searched %d times: %v", searches, err)
		}
	})
}

// An appliance that overhears us looks for us, and falls silent or not before it has said a
// word to any machine. We ask it back, and whichever of us yields does so now; but however
// often it asks, once a minute.
func TestAnApplianceThatAsksIsAskedBack(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.let(false, twin("00:00:00:00:00:01", "")) // a MAC lower than ours

		time.Sleep(time.Second)

		for range 50 {
			l.server.Greeted("00:00:00:00:00:01")
			time.Sleep(100 * time.Millisecond)
		}

		if silent, alarms := l.after(0); !silent || len(alarms) == 0 || len(l.searched()) > 1 {
			t.Errorf("silent %t, searched at %s, told %q", silent, l.searched(), alarms)
		}
	})
}

// Who asks chooses which card it names: it is told once a minute at most, and of one card
// once an hour.
func TestAFloodOfAppliancesIsToldOfNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := server(t, nil)

		for i := range 200 {
			s.Greeted(core.MAC(fmt.Sprintf("52:54:00:00:01:%02x", i)))
		}

		if alarms := w.told(); len(alarms) != 1 {
			t.Errorf("told %d times", len(alarms))
		}

		time.Sleep(2 * time.Minute)
		s.Greeted("52:54:00:00:01:01")

		if alarms := w.told(); len(alarms) != 1 {
			t.Errorf("of another card: told %d times", len(alarms))
		}

		for range 29 {
			time.Sleep(2 * time.Minute)
			s.Greeted("52:54:00:00:01:01")
		}

		if alarms := w.told(); alarms != nil {
			t.Errorf("of one card: told %q", alarms)
		}

		time.Sleep(2 * time.Minute)
		s.Greeted("52:54:00:00:01:01")

		if alarms := w.told(); len(alarms) != 1 {
			t.Errorf("an hour later: told %d times", len(alarms))
		}
	})
}

func TestAnApplianceThatHasServedSaysSoWhenItAsksAgain(t *testing.T) {
	s, _ := server(t, nil)
	s.SearchWith(func() []rogue.Offer { return nil }, func(netip.Addr) {})

	if s.Reclaims(t.Context(), false) || !s.Reclaims(t.Context(), true) {
		t.Error("it does not ask by whether it has served")
	}
}
