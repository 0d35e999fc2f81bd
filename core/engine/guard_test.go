package engine_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/problem"
)

// Whoever may edit a host must not be able to have its password sent to a server
// of their own.
func TestASecretIsForgottenWithWhatItWasGivenFor(t *testing.T) {
	kept := core.Power{
		Method: core.PowerRedfish, Then: []core.PowerMethod{core.PowerWebhook},
		BMC:     core.BMC{Address: "10.0.0.5", User: "admin", Pin: strings.Repeat("9f", 32)},
		Webhook: core.Webhook{URL: "https://relay/one"},
	}

	for name, c := range map[string]struct {
		edit              func(*core.Host)
		password, webhook bool // still there
	}{
		"notes":   {func(h *core.Host) { h.Notes, h.Power.Method = "moved", core.PowerIPMI }, true, true},
		"address": {func(h *core.Host) { h.Power.BMC.Address = "http://evil" }, false, true},
		"user":    {func(h *core.Host) { h.Power.BMC.User = "eve" }, false, true},
		"pin":     {func(h *core.Host) { h.Power.BMC.Pin = "" }, false, true},
		"trust":   {func(h *core.Host) { h.Power.BMC.Pin, h.Power.BMC.Insecure = "", true }, false, true},
		"webhook": {func(h *core.Host) { h.Power.Webhook.URL = "https://evil/" }, true, false},
		"gone":    {func(h *core.Host) { h.Power = core.Power{Method: core.PowerManual} }, false, false},
	} {
		for _, imported := range []bool{false, true} {
			inRig(t, func(t *testing.T, r *rig) {
				host := coretest.Host(1)
				host.Power = kept

				if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
					t.Fatal(err)
				}

				if _, err := r.SetHostSecret(t.Context(), "op", host.MAC, core.HostSecret{BMCPassword: "hush", WebhookSecret: "sign"}); err != nil {
					t.Fatal(err)
				}

				var err error
				if imported {
					_, err = r.ImportHosts(t.Context(), "op", []core.ImportRow{{Line: 2, MAC: host.MAC, Edit: c.edit}}, false)
				} else {
					_, err = r.UpdateHost(t.Context(), "op", host.MAC, c.edit)
				}

				if err != nil {
					t.Fatal(name, err)
				}

				secret := get[core.HostSecret](r, core.TableHostSecret, string(host.MAC))
				if (secret.BMCPassword == "hush") != c.password || (secret.WebhookSecret == "sign") != c.webhook {
					t.Errorf("%s, imported %v: kept is %+v", name, imported, secret)
				}

				if power := r.hostOf(1).Power; power.BMC.PasswordSet != c.password || power.Webhook.SecretSet != c.webhook {
					t.Errorf("%s, imported %v: the host says %+v", name, imported, power)
				}

				said := r.audits()[len(r.audits())-1].Text
				if !imported && strings.Contains(said, "given again") == (c.password && c.webhook) {
					t.Errorf("%s: the audit trail says %q", name, said)
				}
			})
		}
	}
}

// Undoing is the operator's: the machine that was deleted goes on registering itself,
// and anybody on the network can in its name.
func TestADeletedHostCannotRegisterItself(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		host := coretest.Host(1)
		host.Aliases, host.Notes = []core.MAC{coretest.MAC(11)}, "precious"

		if _, err := r.RegisterHost(t.Context(), "op", host); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteHost(t.Context(), "op", host.MAC); err != nil {
			t.Fatal(err)
		}

		for _, n := range []int{1, 11} {
			if _, created, err := r.installed(n).register(); created || codeOf(err) != "host/deleted" || !errors.Is(err, core.ErrRefused) {
				t.Errorf("%d: %v %v", n, created, err)
			}
		}

		made, _, _, err := r.RegisterSelf(t.Context(), core.SelfRegistration{
			MAC: coretest.MAC(2), Aliases: []core.MAC{coretest.MAC(1), coretest.MAC(11), coretest.MAC(12)}, HostName: "x", PublicKey: r.installed(2).public,
		})
		if err != nil || !slices.Equal(made.Aliases, []core.MAC{coretest.MAC(12)}) {
			t.Errorf("another host takes %v, %v", made.Aliases, err)
		}

		if back, err := r.UndeleteHost(t.Context(), "op", host.MAC); err != nil || back.Notes != "precious" {
			t.Fatalf("%+v %v", back, err)
		}

		if _, created, err := r.installed(1).register(); created || err != nil {
			t.Errorf("once it is back: %v %v", created, err)
		}

		if err := r.DeleteHost(t.Context(), "op", host.MAC); err != nil {
			t.Fatal(err)
		}

		if _, err := r.RegisterHost(t.Context(), "op", coretest.Host(1)); err != nil {
			t.Errorf("an operator registers it anew: %v", err)
		}
	})
}

// Asking logs in at the controller, so it is told of like switching.
func TestAskingForThePowerStateIsAudited(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.powered(1, core.PowerIPMI)

		if _, err := r.PowerHost(t.Context(), "ann", coretest.MAC(1), core.PowerStatus); err != nil {
			t.Fatal(err)
		}

		if !slices.ContainsFunc(r.audits(), func(a core.Audit) bool {
			return a.Who == "ann" && a.Action == "host.power" && strings.Contains(a.Text, "asked") && strings.HasSuffix(a.Text, "power status")
		}) {
			t.Errorf("%+v", r.audits())
		}
	})
}

// Where no key is needed nothing waits for approval, and yet strangers must not
// fill the ledger.
func TestABoundOnHostsThatRegisterThemselvesWithoutAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.TrustLAN = true })

		register := func(n int) string {
			_, _, _, err := r.RegisterSelf(t.Context(), core.SelfRegistration{MAC: coretest.MAC(n), HostName: "x"})

			return codeOf(err)
		}

		for n := range 256 {
			if code := register(n); code != "<nil>" {
				t.Fatalf("%d: %s", n, code)
			}
		}

		full := func(n int, why string) {
			t.Helper()

			if code := register(n); code != "host/too-many-waiting" {
				t.Errorf("%s: %q", why, code)
			}
		}

		full(300, "256 wait")

		if code := register(7); code != "<nil>" {
			t.Errorf("one that is there: %s", code)
		}

		if _, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Notes = "ours" }); err != nil {
			t.Fatal(err)
		}

		r.start(2)

		for n := range 2 {
			if code := register(301 + n); code != "<nil>" {
				t.Errorf("with room again: %s", code)
			}
		}

		full(303, "256 wait again")
	})
}

// A key that is approved makes room too.
func TestAnApprovedHostIsNoStranger(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		key, _, err := r.installed(1).register()
		if err != nil || !r.hostOf(1).Stranger {
			t.Fatal(err)
		}

		if _, err := r.ApproveHostKey(t.Context(), "op", key.ID); err != nil || r.hostOf(1).Stranger {
			t.Errorf("it still counts: %v", err)
		}
	})
}

// What a write is only to go through on is looked at in the write itself: two who change the
// same at one moment do not both get theirs.
func TestOfTwoWritesOnTheSameStateOneIsRefused(t *testing.T) {
	inFirmware(t, func(t *testing.T, r *rig) {
		if _, err := r.RegisterHost(t.Context(), "op", coretest.Host(1)); err != nil {
			t.Fatal(err)
		}

		stale := core.NewProblem(core.ErrConflict, problem.FormStale, "changed since")
		host := core.Host{}

		for name, write := range map[string]func(text string) error{
			"a host": func(text string) error {
				_, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) { h.Notes = text }, func(h *core.Host) error {
					if host = *h; strings.HasSuffix(h.Notes, "s") {
						return stale
					}

					return nil
				})

				return err
			},
			"a class": func(text string) error {
				_, err := r.SetClass(t.Context(), "op", core.Class{Name: "other", Notes: text}, func(c *core.Class) error {
					if c.Notes != "" {
						return stale
					}

					return nil
				})

				return err
			},
			"the firmware baseline": func(text string) error {
				_, err := r.SetFirmwareBaseline(t.Context(), "op", "rules: [{id: "+text+", part: disk, deny: HPD7}]", func(b *core.FirmwareBaseline) error {
					if b.Text != "" {
						return stale
					}

					return nil
				})

				return err
			},
		} {
			var (
				refused atomic.Int32
				both    sync.WaitGroup
			)

			for _, text := range []string{"ours", "theirs"} {
				both.Go(func() {
					if err := write(text); errors.Is(err, stale) {
						refused.Add(1)
					} else if err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}

			if both.Wait(); refused.Load() != 1 {
				t.Errorf("%s: %d of two writes were refused", name, refused.Load())
			}
		}

		if host.MAC != coretest.MAC(1) {
			t.Error("what is looked at is not the host on record")
		}
	})
}
