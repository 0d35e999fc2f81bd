package engine_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// installed is an operating system with our agent on the n-th host.
type installed struct {
	r      *rig
	n      int
	public ed25519.PublicKey
	boot   string
	says   string // why it would not reboot
}

func (r *rig) installed(n int) *installed {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(n)}, ed25519.SeedSize))

	return &installed{r: r, n: n, public: key.Public().(ed25519.PublicKey), boot: "os-1"}
}

func (i *installed) register() (core.HostKey, bool, error) {
	_, key, created, err := i.r.RegisterSelf(context.Background(), core.SelfRegistration{
		MAC: coretest.MAC(i.n), HostName: fmt.Sprintf("server-%d", i.n), PublicKey: i.public, AgentVersion: "1",
	})

	return key, created, err
}

func (i *installed) beat() (core.HostCommand, error) {
	return i.r.HostBeat(context.Background(), coretest.MAC(i.n), core.HostBeat{
		KeyID: core.KeyID(i.public), AgentVersion: "1", BootID: i.boot, Uptime: time.Hour, Refusal: i.says,
	})
}

func (r *rig) presence(n int) core.Presence {
	return get[core.Presence](r, core.TablePresence, string(coretest.MAC(n)))
}

func TestAnInstalledHostIsToldOnceToRebootAndOnlyWithAnApprovedKey(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		i := r.installed(1)

		key, created, err := i.register()
		if err != nil || !created || key.State != core.HostKeyPending || key.Fingerprint == "" {
			t.Fatalf("%+v %v %v", key, created, err)
		}

		if again, created, err := i.register(); err != nil || created || again.ID != key.ID {
			t.Errorf("again: %+v %v %v", again, created, err)
		}

		if host := r.hostOf(1); host.Name != "server-1" || host.Power.Method != core.PowerAgent {
			t.Errorf("%+v", host)
		}

		if cmd, err := i.beat(); err != nil || cmd != core.HostContinue {
			t.Errorf("%s %v", cmd, err)
		}

		// Without approval it goes on to the next way, which is a person.
		id := r.start(1)
		r.wantState(id, core.StateWaitingPower)

		if cmd, err := i.beat(); err != nil || cmd != core.HostContinue {
			t.Errorf("without approval: %s %v", cmd, err)
		}

		if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if approved, err := r.ApproveHostKey(t.Context(), "ann", key.ID); err != nil || approved.State != core.HostKeyApproved || approved.DecidedBy != "ann" {
			t.Fatalf("%+v %v", approved, err)
		}

		id = r.start(1)
		r.wantState(id, core.StateWaitingReboot)
		r.restart()

		for n, want := range []core.HostCommand{core.HostReboot, core.HostContinue, core.HostContinue} {
			if cmd, err := i.beat(); err != nil || cmd != want {
				t.Errorf("beat %d: %s %v", n, cmd, err)
			}
		}

		m := r.machine(1)
		if got := m.finish(m.boot().State); got != core.StateCompleted {
			t.Errorf("ended in %s", got)
		}
	})
}

func TestAHostThatWouldNotRebootSaysSo(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		i := r.installed(1)

		key, _, err := i.register()
		if err != nil {
			t.Fatal(err)
		}

		if _, err := r.ApproveHostKey(t.Context(), "ann", key.ID); err != nil {
			t.Fatal(err)
		}

		if _, err := i.beat(); err != nil {
			t.Fatal(err)
		}

		id := r.start(1)
		if cmd, err := i.beat(); err != nil || cmd != core.HostReboot {
			t.Fatalf("%s %v", cmd, err)
		}

		i.says = "2 users are logged in"

		for range 3 {
			if cmd, err := i.beat(); err != nil || cmd != core.HostContinue {
				t.Fatalf("%s %v", cmd, err)
			}
		}

		r.wantState(id, core.StateWaitingPower) // a person's turn

		if got := r.attempts(1); !slices.Equal(got, []string{"agent", "agent!power/agent-refused"}) {
			t.Errorf("the trace tells %v", got)
		}

		if p := r.presence(1); p.Refusal != i.says {
			t.Errorf("%+v", p)
		}
	})
}

func TestCallsOfInstalledHostsThatAreRefused(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		one, two := r.installed(1), r.installed(2)

		key, _, err := one.register()
		if err != nil {
			t.Fatal(err)
		}

		if _, _, err := two.register(); err != nil {
			t.Fatal(err)
		}

		beat := func(n int, keyID string) error {
			_, err := r.HostBeat(t.Context(), coretest.MAC(n), core.HostBeat{KeyID: keyID, BootID: "b"})

			return err
		}

		if err := beat(1, ""); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("unsigned: %v", err)
		}

		if err := beat(1, core.KeyID(two.public)); codeOf(err) != "host/key-refused" {
			t.Errorf("another host's key: %v", err)
		}

		if err := beat(1, "00000000000000000000000000000000"); codeOf(err) != "host/key-unknown" {
			t.Errorf("an unknown key: %v", err)
		}

		if err := beat(3, key.ID); codeOf(err) != "host/not-found" {
			t.Errorf("an unknown host: %v", err)
		}

		if _, err := r.RevokeHostKey(t.Context(), "op", key.ID); err != nil {
			t.Fatal(err)
		}

		if err := beat(1, key.ID); codeOf(err) != "host/key-refused" {
			t.Errorf("a revoked key: %v", err)
		}

		if _, _, _, err := r.RegisterSelf(t.Context(), core.SelfRegistration{MAC: coretest.MAC(1), HostName: "x", PublicKey: two.public}); codeOf(err) != "host/key-refused" {
			t.Errorf("another host's key, registered: %v", err)
		}

		if _, _, _, err := r.RegisterSelf(t.Context(), core.SelfRegistration{MAC: coretest.MAC(4), HostName: "x"}); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("without a key: %v", err)
		}
	})
}

func TestOneApprovedKeyAHostAndABoundOnThoseThatWait(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		var ids []string

		for n := range 10 {
			public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(100 + n)}, ed25519.SeedSize)).Public().(ed25519.PublicKey)

			_, key, _, err := r.RegisterSelf(t.Context(), core.SelfRegistration{MAC: coretest.MAC(1), HostName: "x", PublicKey: public})
			if err != nil {
				t.Fatal(err)
			}

			ids = append(ids, key.ID)
			r.clock.Advance(time.Second)
		}

		if _, err := r.HostKey(t.Context(), ids[1]); codeOf(err) != "host/key-unknown" {
			t.Errorf("the second of ten that wait: %v", err)
		}

		for _, id := range ids[8:] {
			if _, err := r.ApproveHostKey(t.Context(), "op", id); err != nil {
				t.Fatal(err)
			}
		}

		if key, err := r.HostKey(t.Context(), ids[8]); err != nil || key.State != core.HostKeyRevoked {
			t.Errorf("the key approved before: %+v %v", key, err)
		}

		if _, err := r.ApproveHostKey(t.Context(), "op", "../../etc"); codeOf(err) != "host/key-unknown" {
			t.Errorf("%v", err)
		}
	})
}

func TestATrustedLANNeedsNoKeyAndAnEnrolKeyIsAskedForOnTop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.TrustLAN, c.EnrolKey = true, "sesame" })

		if _, _, _, err := r.RegisterSelf(t.Context(), core.SelfRegistration{MAC: coretest.MAC(1), HostName: "x", EnrolKey: "guess"}); codeOf(err) != "host/enrol-key" {
			t.Errorf("%v", err)
		}

		if _, _, created, err := r.RegisterSelf(t.Context(), core.SelfRegistration{MAC: coretest.MAC(1), HostName: "x", EnrolKey: "sesame"}); err != nil || !created {
			t.Fatal(err)
		}

		beat := core.HostBeat{BootID: "b"}
		if _, err := r.HostBeat(t.Context(), coretest.MAC(1), beat); err != nil {
			t.Fatal(err)
		}

		r.start(1)

		if cmd, err := r.HostBeat(t.Context(), coretest.MAC(1), beat); err != nil || cmd != core.HostReboot {
			t.Errorf("%s %v", cmd, err)
		}
	})
}

func TestAnInstalledHostIsOnlineWhileItIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := time.Duration(0)
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.Uptime = func() time.Duration { return up } })
		pass := func(d time.Duration) { up += d; r.pass(d) }
		i := r.installed(1)

		if _, _, err := i.register(); err != nil {
			t.Fatal(err)
		}

		online := func() (last bool) {
			for _, e := range r.events(core.EventHost) {
				var c core.HostChange
				if err := json.Unmarshal(e.Data, &c); err != nil {
					t.Fatal(err)
				}

				last = c.Online
			}

			return last
		}

		writes := 0

		for range 20 { // ten minutes
			before := len(r.events(core.EventHost))

			if _, err := i.beat(); err != nil {
				t.Fatal(err)
			}

			writes += len(r.events(core.EventHost)) - before
			pass(30 * time.Second)
		}

		if !r.presence(1).Online || !online() || writes != 1 {
			t.Errorf("%+v after %d events", r.presence(1), writes)
		}

		// The clock is set by years: nobody goes offline for it.
		r.clock.Advance(10 * 365 * 24 * time.Hour)
		r.pass(0)

		if !r.presence(1).Online {
			t.Error("offline because the clock was set")
		}

		r.restart()
		pass(time.Minute)

		if !r.presence(1).Online {
			t.Error("offline because the appliance was away")
		}

		pass(30 * time.Second)

		if r.presence(1).Online || online() {
			t.Errorf("not heard, and %+v", r.presence(1))
		}

		if _, err := i.beat(); err != nil || !r.presence(1).Online || !online() {
			t.Errorf("heard again: %+v %v", r.presence(1), err)
		}
	})
}
