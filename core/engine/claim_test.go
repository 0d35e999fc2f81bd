package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// claimedOnce has a machine claim its run, and returns the seed it did it with.
func claimedOnce(t *testing.T, r *rig) (*machine, core.Seed, core.ClaimReply) {
	t.Helper()

	r.host(1)
	r.start(1)

	m := r.machine(1)

	seed, err := m.arm()
	if err != nil {
		t.Fatal(err)
	}

	reply, err := m.claim(seed)
	if err != nil {
		t.Fatal(err)
	}

	return m, seed, reply
}

// The answer to a claim may be lost on the way. Whoever asks again, and is who
// asked first, gets it; nobody else does.
func TestALostAnswerToAClaimIsGivenAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m, seed, first := claimedOnce(t, r)

		for i := range 3 {
			if i == 1 {
				r.restart() // what is needed to answer is no secret of the process
			}

			if i == 2 { // a process that was started anew begins with hello
				if _, err := m.hello(seed); err != nil {
					t.Fatal(err)
				}
			}

			again, err := m.claim(seed)
			if err != nil || again.SessionToken != first.SessionToken || again.Epoch != 1 || len(again.Stages) != len(first.Stages) {
				t.Fatalf("the same claim again: %+v %v", again, err)
			}
		}

		if r.noticed("boot/token-reused") {
			t.Error("a claim made again raised the alarm")
		}

		if got := m.finish(first.State); got != core.StateCompleted {
			t.Errorf("ended in %s", got)
		}
	})
}

func TestAClaimIsAnsweredAgainOnlyToWhoMadeIt(t *testing.T) {
	for name, c := range map[string]struct {
		happens     func(*rig, *machine)
		quarantined bool
	}{
		"another boot":            {func(_ *rig, m *machine) { m.bootID = "boot-2" }, false},
		"another machine":         {func(_ *rig, m *machine) { m.identity = coretest.Identity(66) }, true},
		"other network ports":     {func(_ *rig, m *machine) { m.identity.MACs = []core.MAC{coretest.MAC(50)} }, true},
		"the answer has arrived":  {func(_ *rig, m *machine) { _, _ = m.beat(core.InventoryCheck) }, false},
		"a result has been taken": {func(_ *rig, m *machine) { _, _ = m.send(m.passing(core.InventoryCheck)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				m, seed, _ := claimedOnce(t, r)
				token := m.token
				c.happens(r, m)

				if _, err := m.claim(seed); codeOf(err) != "boot/token-reused" || !errors.Is(err, core.ErrRefused) {
					t.Errorf("claim: %v", err)
				}

				if !r.noticed("boot/token-reused") {
					t.Error("no alarm")
				}

				if run := r.run(seed.Run); run.Epoch != 1 || run.BootID != "boot-1" {
					t.Errorf("epoch %d, boot id %s", run.Epoch, run.BootID)
				}

				if q := r.hostOf(1).Quarantine != ""; q != c.quarantined {
					t.Errorf("quarantine: %v", q)
				}

				// The run goes on for who has it.
				m.token = token
				if _, err := m.beat(core.InventoryCheck); err != nil {
					t.Errorf("the session of who claimed first: %v", err)
				}
			})
		})
	}
}

// The answer that is given again has what the lost one had, and a run that is over
// or held by quarantine is given to nobody.
func TestAClaimIsNotAnsweredAgainOnceTheRunIsOver(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m, seed, _ := claimedOnce(t, r)

		if _, err := r.CancelRun(t.Context(), "op", seed.Run); err != nil {
			t.Fatal(err)
		}

		if _, err := m.claim(seed); codeOf(err) != "boot/token-reused" {
			t.Errorf("claim: %v", err)
		}
	})
}

func TestAnOverrideInALostAnswerIsGivenAgain(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		m.refuse()

		if _, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001"}, "scratch disk"); err != nil {
			t.Fatal(err)
		}

		m.bootID = "boot-2"

		seed, err := m.arm()
		if err != nil {
			t.Fatal(err)
		}

		for range 2 {
			if reply, err := m.claim(seed); err != nil || len(reply.Overrides) != 1 || reply.OverrideUntil.IsZero() {
				t.Errorf("%v %v", reply.Overrides, err)
			}
		}

		if w := r.run(id).Wipe; w == nil || w.UsedAt.IsZero() {
			t.Errorf("%+v: it may be used again", w)
		}
	})
}

// decisions.md: tokens are stored hashed. Nothing in the ledger opens a run.
func TestNoTokenIsInTheLedger(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		m := r.machine(1)

		seed, err := m.arm()
		if err != nil {
			t.Fatal(err)
		}

		search := func(token string) {
			t.Helper()

			for _, table := range []core.Table{core.TableRun, core.TableRunSecret, core.TableHost, core.TableReply} {
				err := r.ledger.View(t.Context(), func(rd core.Reader) error {
					return rd.Scan(table, core.Query{}, func(key string, decode func(any) error) error {
						var raw json.RawMessage
						if err := decode(&raw); err != nil {
							return err
						}

						if bytes.Contains(raw, []byte(token)) {
							t.Errorf("%s %s holds a token: %s", table, key, raw)
						}

						return nil
					})
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}

		search(seed.BootToken)

		if _, err := m.claim(seed); err != nil {
			t.Fatal(err)
		}

		search(seed.BootToken)
		search(m.token)

		if secret := get[core.RunSecret](r, core.TableRunSecret, string(id)); len(secret.SessionToken) != 32 {
			t.Errorf("%d bytes are kept of the session token", len(secret.SessionToken))
		}
	})
}

// A secret that was lost makes the boot token that is out worthless, and no more:
// the machine fetches its script again.
func TestAfterTheSecretWasLostABootBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := []byte("the first secret of thirty-two bytes")
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.TokenSecret = secret })
		r.host(1)
		id := r.start(1)

		nonce, err := r.Arm(t.Context(), coretest.MAC(1), addr(1))
		if err != nil {
			t.Fatal(err)
		}

		secret = nil // drawn at the start
		r.restart()

		if raw, err := r.Seed(t.Context(), nonce, addr(1), false); codeOf(err) != "boot/seed-spent" {
			t.Errorf("%s %v", raw, err)
		}

		if _, err := r.SeedOf(t.Context(), coretest.MAC(1), addr(1), false); err != nil { // armed on the spot
			t.Errorf("by its address: %v", err)
		}

		m := r.machine(1)
		if got := m.finish(m.boot().State); got != core.StateCompleted {
			t.Errorf("%s ended in %s", id, got)
		}
	})
}

func TestASecretThatIsNoneIsRefused(t *testing.T) {
	c := engine.Config{TokenSecret: make([]byte, 32)}

	if err := c.Validate(); err == nil || !bytes.Contains([]byte(err.Error()), []byte("secret of tokens")) {
		t.Errorf("zeros for a secret: %v", err)
	}
}
