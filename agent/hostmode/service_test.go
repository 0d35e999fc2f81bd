package hostmode_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/hostmode"
	"vetting/core"
)

// rig is an installed machine in front of an appliance in memory.
type rig struct {
	t       *testing.T
	roster  *gatetest.Roster
	wire    *gatetest.Wire
	service hostmode.Service
	log     *safeBuffer
	mu      sync.Mutex
	ahead   time.Duration // guarded by mu: of the machine's clock
	reboots []core.MAC    // guarded by mu
	busy    string
	fails   error
	stop    context.CancelFunc
	done    chan error
	gateEnd context.CancelFunc
	gateOut chan error
	config  gate.HostConfig
	server  gate.Server
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.String()
}

// within runs a scenario in a bubble with appliance and service up.
func within(t *testing.T, prepare func(*rig), scenario func(t *testing.T, r *rig)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		cert := gatetest.NewCert(t)
		r := &rig{t: t, roster: gatetest.NewRoster(), wire: &gatetest.Wire{}, log: &safeBuffer{}}
		r.config = gate.HostConfig{Hosts: r.roster, SPKI: gate.SPKI(cert.Leaf), Log: slog.New(slog.DiscardHandler)}
		r.server = gate.Server{Cert: cert, Log: slog.New(slog.DiscardHandler)}
		r.service = hostmode.Service{
			Config: hostmode.Config{Appliance: "https://10.0.0.5:8443", SPKISHA256: gate.SPKI(cert.Leaf), EnrolKey: "sesame"},
			Key:    ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), Version: "1.2", BootID: "b1", Hostname: "r1",
			Uptime: func() time.Duration { return time.Hour },
			Addresses: func(context.Context) (core.MAC, []core.MAC, error) {
				return gatetest.HostMAC, []core.MAC{"52:54:00:12:34:57"}, nil
			},
			Busy:   func() string { return r.busy },
			Reboot: r.reboot,
			Log:    slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), nil)), Dial: r.wire.Dial,
			Now: r.now,
		}

		if prepare != nil {
			prepare(r)
		}

		r.powerOn()
		time.Sleep(time.Second)

		ctx, cancel := context.WithCancel(t.Context())
		r.stop, r.done = cancel, make(chan error, 1)

		go func() { r.done <- r.service.Run(ctx) }()

		scenario(t, r)
		r.stop()

		if err := <-r.done; err != nil {
			t.Errorf("Run() = %v", err)
		}

		r.powerOff()
	})
}

func (r *rig) reboot(_ context.Context, mac core.MAC) error {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.reboots = append(r.reboots, mac)

	return r.fails
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()

	return time.Now().Add(r.ahead)
}

func (r *rig) setClock(ahead time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.ahead = ahead
}

// rebooted returns where the machine rebooted to.
func (r *rig) rebooted() []core.MAC {
	r.mu.Lock()
	defer r.mu.Unlock()

	return append([]core.MAC(nil), r.reboots...)
}

func (r *rig) powerOn() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.gateEnd, r.gateOut = cancel, make(chan error, 1)
	r.server.Handler = gate.NewHosts(r.config)
	ln := r.wire.Listen()

	go func() { r.gateOut <- r.server.Serve(ctx, ln) }()
}

func (r *rig) powerOff() {
	r.wire.Cut()
	r.gateEnd()
	<-r.gateOut
}

func TestAnInstalledMachineMakesItselfKnownAndBeatsEveryHalfMinute(t *testing.T) {
	within(t, nil, func(t *testing.T, r *rig) {
		time.Sleep(10 * time.Minute)

		want := []core.SelfRegistration{{
			MAC: gatetest.HostMAC, Aliases: []core.MAC{"52:54:00:12:34:57"}, HostName: "r1", AgentVersion: "1.2", EnrolKey: "sesame",
			PublicKey: r.service.Key.Public().(ed25519.PublicKey),
		}}
		if diff := cmp.Diff(want, r.roster.Selves()); diff != "" {
			t.Errorf("registrations (-want +got):\n%s", diff)
		}

		beats := r.roster.Beats()
		if n := len(beats); n < 20 || n > 23 {
			t.Errorf("%d beats in ten minutes", n)
		}

		if beats[0].BootID != "b1" || beats[0].Uptime != time.Hour || beats[0].AgentVersion != "1.2" || beats[0].Refusal != "" {
			t.Errorf("beat %+v", beats[0])
		}

		if !strings.Contains(r.log.String(), "SHA256:") {
			t.Error("the log does not tell the fingerprint to approve")
		}
	})
}

func TestTheConfiguredPortIsThePrimaryOne(t *testing.T) {
	within(t, func(r *rig) { r.service.Config.MAC = "52:54:00:12:34:57" }, func(t *testing.T, r *rig) {
		time.Sleep(time.Minute)

		if got := r.roster.Selves()[0]; got.MAC != "52:54:00:12:34:57" || len(got.Aliases) != 1 || got.Aliases[0] != gatetest.HostMAC {
			t.Errorf("%+v", got)
		}
	})
}

func TestAMachineRebootsWhenItIsToldTo(t *testing.T) {
	within(t, nil, func(t *testing.T, r *rig) {
		time.Sleep(time.Minute)
		r.roster.Order(gatetest.HostMAC)
		time.Sleep(time.Minute)

		if len(r.rebooted()) != 0 {
			t.Fatal("it rebooted though its key is not approved")
		}

		r.roster.Decide(core.HostKeyApproved)
		r.roster.Order(gatetest.HostMAC)
		time.Sleep(time.Minute)

		if got := r.rebooted(); len(got) != 1 || got[0] != gatetest.HostMAC {
			t.Errorf("reboots %v", got)
		}
	})
}

func TestAMachineThatDoesNotRebootSaysWhyOnce(t *testing.T) {
	tests := map[string]struct {
		prepare func(*rig)
		why     string
		reboots int
	}{
		"somebody is at work":    {func(r *rig) { r.busy = "somebody is logged in: alice on pts/0" }, "somebody is logged in: alice on pts/0", 0},
		"the reboot does not go": {func(r *rig) { r.fails = errors.New("not permitted") }, "the reboot did not work: not permitted", 1},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			within(t, test.prepare, func(t *testing.T, r *rig) {
				time.Sleep(time.Minute)
				r.roster.Decide(core.HostKeyApproved)

				for range 2 { // the same order and the same answer are news again
					r.roster.Order(gatetest.HostMAC)
					time.Sleep(2 * time.Minute)
				}

				var told []string

				for _, beat := range r.roster.Beats() {
					if beat.Refusal != "" {
						told = append(told, beat.Refusal)
					}
				}

				if diff := cmp.Diff([]string{test.why, test.why}, told); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}

				if got := r.rebooted(); len(got) != 2*test.reboots {
					t.Errorf("%d reboots", len(got))
				}

				if !strings.Contains(r.log.String(), test.why) {
					t.Error("the log does not say why")
				}
			})
		})
	}
}

func TestAMachineWithAWrongClockIsHeard(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"a year ahead": 365 * 24 * time.Hour, "30 years behind": -30 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			within(t, func(r *rig) { r.ahead = ahead }, func(t *testing.T, r *rig) {
				time.Sleep(5 * time.Minute)

				if n := len(r.roster.Beats()); n < 10 {
					t.Errorf("%d beats in five minutes", n)
				}

				r.setClock(-ahead) // it is set while the agent runs
				time.Sleep(5 * time.Minute)

				if n := len(r.roster.Beats()); n < 20 {
					t.Errorf("%d beats in ten minutes", n)
				}
			})
		})
	}
}

func TestAnApplianceThatWasAwayOrForgotIsToldAnew(t *testing.T) {
	within(t, nil, func(t *testing.T, r *rig) {
		time.Sleep(time.Minute)
		r.powerOff()
		time.Sleep(time.Hour)
		before := len(r.roster.Beats())
		r.powerOn()
		time.Sleep(5 * time.Minute)

		if len(r.roster.Beats()) <= before {
			t.Errorf("no beat after the appliance is back:\n%s", r.log)
		}

		r.roster.Forget()
		time.Sleep(10 * time.Minute)

		if n := len(r.roster.Selves()); n != 2 {
			t.Errorf("%d registrations, want 2", n)
		}

		if n := strings.Count(r.log.String(), "no word with the appliance"); n > 6 {
			t.Errorf("the same trouble is logged %d times", n)
		}
	})
}

func TestAMachineThatIsNotWantedAsksSeldom(t *testing.T) {
	within(t, func(r *rig) {
		r.roster.Judge(func(core.SelfRegistration) error { return core.NewProblem(core.ErrRefused, "host/enrol-key", "No.") })
	}, func(t *testing.T, r *rig) {
		time.Sleep(time.Hour)

		if n := len(r.roster.Selves()); n < 10 || n > 15 {
			t.Errorf("it asked %d times in an hour", n)
		}
	})
}

func TestAHostThatWasDeletedKeepsQuietAndComesBack(t *testing.T) {
	within(t, func(r *rig) {
		r.roster.Judge(func(core.SelfRegistration) error { return core.NewProblem(core.ErrRefused, "host/deleted", "Deleted.") })
	}, func(t *testing.T, r *rig) {
		time.Sleep(time.Hour)

		if n := len(r.roster.Selves()); n < 10 || n > 15 {
			t.Errorf("it asked %d times in an hour", n)
		}

		if log := r.log.String(); strings.Count(log, "an operator deleted it") != 1 || strings.Contains(log, "level=WARN") {
			t.Errorf("it says:\n%s", log)
		}

		r.roster.Judge(nil)
		time.Sleep(10 * time.Minute)

		if len(r.roster.Beats()) == 0 {
			t.Error("it does not come back")
		}
	})
}

func TestAWrongKeyHearsNothing(t *testing.T) {
	within(t, func(r *rig) { r.service.Config.SPKISHA256 = gate.SPKI(gatetest.NewCert(r.t).Leaf) }, func(t *testing.T, r *rig) {
		time.Sleep(10 * time.Minute)

		if len(r.roster.Selves()) != 0 || r.wire.Dials() == 0 {
			t.Errorf("%d registrations, %d dials", len(r.roster.Selves()), r.wire.Dials())
		}

		if !strings.Contains(r.log.String(), "does not hold the appliance's key") {
			t.Error("the log does not say why")
		}
	})
}
