package engine_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/report"
	"vetting/core/sshkey"
)

// hostLine is the host key that the n-th boot of a machine makes.
func hostLine(n byte) string {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))

	return sshkey.Line(key.Public().(ed25519.PublicKey), "")
}

func (m *machine) openHold(n byte) (core.HoldReply, error) {
	return m.r.HoldOpened(context.Background(), m.run, m.token, core.HoldCall{
		IP: addr(m.n).String(), From: addr(m.n), SSHHostKey: hostLine(n),
	})
}

// held brings the n-th host into the hold.
func (r *rig) held(n int) (*machine, core.RunID) {
	r.t.Helper()
	r.host(n)

	id := r.start(n)
	m := r.machine(n)
	m.boot()

	res := m.passing(core.InventoryCheck)
	res.Verdict = core.Error

	if _, err := m.send(res); err != nil {
		r.t.Fatal(err)
	}

	r.wantState(id, core.StateFailedHolding)

	return m, id
}

func TestAHoldLetsInWhoTookItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.TerminalKey = hostLine(9) + " terminal" })
		m, id := r.held(1)

		if _, err := r.HoldKey(t.Context(), "ann", id); codeOf(err) != "hold/not-open" {
			t.Errorf("before the agent said a word: %v", err)
		}

		reply, err := m.openHold(1)
		if err != nil || len(reply.AuthorizedKeys) != 2 || reply.AuthorizedKeys[1] != hostLine(9)+" terminal" {
			t.Fatalf("%+v %v", reply, err)
		}

		if want := coretest.Start().Add(24 * time.Hour); !reply.Until.Equal(want) {
			t.Errorf("open until %s, want %s", reply.Until, want)
		}

		r.restart() // the key does not live in memory

		key, err := r.HoldKey(t.Context(), "ann", id)
		if err != nil {
			t.Fatal(err)
		}

		signer, err := ssh.ParsePrivateKey([]byte(key.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}

		authorized, _, _, _, err := ssh.ParseAuthorizedKey([]byte(reply.AuthorizedKeys[0]))
		if err != nil || !bytes.Equal(authorized.Marshal(), signer.PublicKey().Marshal()) {
			t.Errorf("the key handed out is not the one let in: %v", err)
		}

		if key.KnownHosts != key.Alias+" "+hostLine(1) || key.Addr != addr(1).String() || key.User != "root" || key.HostName != "rack1-u01" {
			t.Errorf("%+v", key)
		}

		if _, err := r.HoldKey(t.Context(), "bob", id); codeOf(err) != "hold/key-taken" || !strings.Contains(err.Error(), "ann") {
			t.Errorf("a second time: %v", err)
		}

		if hold := r.run(id).Hold; hold.TakenBy != "ann" || hold.Fingerprint == "" {
			t.Errorf("%+v", hold)
		}
	})
}

// The private half is in no record and no event, under no encoding that anybody
// would look for, nor is what it is made of enough without the appliance's secret.
func TestThePrivateKeyOfAHoldIsKeptNowhere(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m, id := r.held(1)
		if _, err := m.openHold(1); err != nil {
			t.Fatal(err)
		}

		key, err := r.HoldKey(t.Context(), "ann", id)
		if err != nil {
			t.Fatal(err)
		}

		raw, err := ssh.ParseRawPrivateKey([]byte(key.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}

		seed := raw.(*ed25519.PrivateKey).Seed()

		encoded, err := json.Marshal(seed)
		if err != nil {
			t.Fatal(err)
		}

		for _, table := range []core.Table{core.TableRun, core.TableRunSecret, core.TableAudit, core.TableHost} {
			err := r.ledger.View(t.Context(), func(rd core.Reader) error {
				return rd.Scan(table, core.Query{}, func(_ string, decode func(any) error) error {
					var record json.RawMessage
					if err := decode(&record); err != nil {
						return err
					}

					if bytes.Contains(record, bytes.Trim(encoded, `"`)) || bytes.Contains(record, []byte("PRIVATE KEY")) {
						t.Errorf("the key is in %s: %s", table, record)
					}

					return nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
		}

		if strings.Contains(r.log.String(), "PRIVATE") {
			t.Error("the key is in the log")
		}
	})
}

func TestAnotherSecretHandsOutNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := []byte("a secret of thirty-two bytes, 123")
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.HoldSecret = secret })

		m, id := r.held(1)
		if _, err := m.openHold(1); err != nil {
			t.Fatal(err)
		}

		secret = []byte("quite another of thirty-two bytes")
		r.restart()

		if _, err := r.HoldKey(t.Context(), "ann", id); codeOf(err) != "hold/key-lost" {
			t.Errorf("%v", err)
		}

		if run := r.run(id); !run.Hold.TakenAt.IsZero() {
			t.Error("what was not handed out counts as taken")
		}
	})
}

func TestOpeningAHoldAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		m, id := r.held(1)

		first, err := m.openHold(1)
		if err != nil {
			t.Fatal(err)
		}

		events := len(r.events(core.EventNotice))

		again, err := m.openHold(1)
		if err != nil || !slices.Equal(first.AuthorizedKeys, again.AuthorizedKeys) || len(r.events(core.EventNotice)) != events {
			t.Errorf("the same word again: %+v %v", again, err)
		}

		if _, err := r.HoldKey(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		m.bootID = "boot-2"
		m.boot()

		after, err := m.openHold(2)
		if err != nil || !slices.Equal(first.AuthorizedKeys, after.AuthorizedKeys) {
			t.Errorf("after another boot the same operator comes in: %+v %v", after, err)
		}

		if hold := r.run(id).Hold; hold.HostKey != hostLine(2) || hold.TakenBy != "ann" || hold.Epoch != 2 {
			t.Errorf("%+v", hold)
		}

		// A new try makes the old key worthless.
		if _, err := r.RetryStage(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		if r.run(id).Hold != nil {
			t.Error("the hold outlives the retry")
		}

		res := m.passing(core.InventoryCheck)
		res.Verdict = core.Error

		if _, err := m.send(res); err != nil {
			t.Fatal(err)
		}

		fresh, err := m.openHold(2)
		if err != nil || fresh.AuthorizedKeys[0] == first.AuthorizedKeys[0] {
			t.Errorf("the next hold has the key of the one before: %+v %v", fresh, err)
		}
	})
}

func TestHoldsThatAreRefused(t *testing.T) {
	good := core.HoldCall{IP: addr(1).String(), From: addr(1), SSHHostKey: hostLine(1)}

	for name, c := range map[string]struct {
		change func(*core.HoldCall)
		code   string
	}{
		"another machine's address":   {func(c *core.HoldCall) { c.IP = "192.0.2.99" }, "hold/bad-address"},
		"an address that is a name":   {func(c *core.HoldCall) { c.IP = "localhost" }, "hold/bad-address"},
		"every address":               {func(c *core.HoldCall) { c.IP, c.From = "0.0.0.0", netip.Addr{} }, "hold/bad-address"},
		"a host key of two lines":     {func(c *core.HoldCall) { c.SSHHostKey += "\n" + hostLine(2) }, "hold/bad-host-key"},
		"a host key of another kind":  {func(c *core.HoldCall) { c.SSHHostKey = "ssh-rsa AAAA" }, "hold/bad-host-key"},
		"the same address, in IPv6":   {func(c *core.HoldCall) { c.From = netip.AddrFrom16(addr(1).As16()) }, ""},
		"where it came from not told": {func(c *core.HoldCall) { c.From = netip.Addr{} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, func(t *testing.T, r *rig) {
				m, id := r.held(1)
				call := good
				c.change(&call)

				_, err := r.HoldOpened(t.Context(), id, m.token, call)
				if c.code == "" && err != nil || c.code != "" && codeOf(err) != c.code {
					t.Errorf("%v, want %q", err, c.code)
				}
			})
		})
	}

	inRig(t, func(t *testing.T, r *rig) {
		m, id := r.held(1)
		other, _ := r.held(2)

		for name, token := range map[string]string{"no token": "", "a guess": "guess", "another run's": other.token} {
			if _, err := r.HoldOpened(t.Context(), id, token, good); !errors.Is(err, core.ErrUnauthorized) && !errors.Is(err, core.ErrRefused) {
				t.Errorf("%s: %v", name, err)
			}
		}

		old := m.token
		m.bootID = "boot-2"
		m.boot()

		if _, err := r.HoldOpened(t.Context(), id, old, good); !errors.Is(err, core.ErrExpired) {
			t.Errorf("the boot before: %v", err)
		}

		if _, err := r.ReleaseRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if _, err := r.HoldOpened(t.Context(), id, m.token, good); !errors.Is(err, core.ErrExpired) {
			t.Errorf("after the release: %v", err)
		}

		if _, err := r.HoldKey(t.Context(), "op", id); codeOf(err) != "hold/wrong-state" {
			t.Errorf("the key after the release: %v", err)
		}
	})
}

// storage is a rig whose profile has every stage, and a run that armed a disk.
func inStorage(t *testing.T, test func(t *testing.T, r *rig, m *machine, id core.RunID)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), withStorage)
		m, id := r.reachStorage()

		test(t, r, m, id)
	})
}

func withStorage(c *engine.Config) {
	c.Stages = core.Pipeline()
	c.Profiles = []core.Profile{{Name: "quick", Scale: 1, Stages: []core.StageName{
		core.InventoryCheck, core.SMART, core.Storage, core.Reporting,
	}}}
}

// reachStorage brings the first host to its Storage stage.
func (r *rig) reachStorage() (*machine, core.RunID) {
	r.t.Helper()
	r.host(1)

	run, err := r.StartRun(r.t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Armed: []string{"HDD0001", "SSD0001"}})
	if err != nil {
		r.t.Fatal(err)
	}

	synctest.Wait()
	m := r.machine(1)
	m.boot()

	for _, stage := range []core.StageName{core.InventoryCheck, core.SMART} {
		if _, err := m.send(m.passing(stage)); err != nil {
			r.t.Fatal(err)
		}
	}

	return m, run.ID
}

// refuse lets Storage fail as it does when a disk holds foreign data.
func (m *machine) refuse() {
	m.r.t.Helper()

	res := m.passing(core.Storage)
	res.Verdict = core.Fail
	res.Findings = []core.Finding{{Code: "storage/foreign-data", Severity: core.Critical, Part: core.Part{Kind: "disk", Serial: "HDD0001"}}}

	if state, err := m.send(res); err != nil || state != core.StateFailedHolding {
		m.r.t.Fatalf("%s %v", state, err)
	}
}

func TestAnOverrideIsGivenOnceToTheNamedDisks(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		m.refuse()

		for name, serials := range map[string][]string{
			"no disk": nil, "a disk that is not armed": {"QM00009"}, "a disk twice": {"HDD0001", "HDD0001"},
		} {
			if _, err := r.OverrideWipe(t.Context(), "ann", id, serials, "scratch disk"); err == nil {
				t.Errorf("%s: was overridden", name)
			}
		}

		run, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001"}, "scratch disk")
		if err != nil || run.State != core.State(core.Storage) {
			t.Fatalf("%s %v", run.State, err)
		}

		want := []string{"override-wipe-probe:HDD0001"}

		for range 2 { // until the agent is heard from the stage, the answer may have been lost
			if o, err := m.beat(""); err != nil || o.Cmd != core.CmdRetryStage || o.Stage != core.Storage || !slices.Equal(o.Overrides, want) ||
				o.WriteLeaseUntil.IsZero() || !o.OverrideUntil.Equal(run.Wipe.Until) {
				t.Fatalf("%+v %v", o, err)
			}
		}

		for range 2 {
			if o, err := m.beat(core.Storage); err != nil || o.Cmd != core.CmdContinue || len(o.Overrides) != 0 {
				t.Errorf("from the stage: %+v %v", o, err)
			}
		}

		if w := r.run(id).Wipe; w == nil || w.UsedAt.IsZero() || w.By != "ann" {
			t.Errorf("%+v", w)
		}

		// Another boot has to ask anew.
		m.bootID = "boot-1"
		if reply := m.boot(); len(reply.Overrides) != 0 {
			t.Errorf("after it was used a claim brings %v", reply.Overrides)
		}

		m.refuse()

		if _, err := r.RetryStage(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		if o, err := m.beat(""); err != nil || o.Cmd != core.CmdRetryStage || len(o.Overrides) != 0 {
			t.Errorf("a plain retry brings %+v %v", o, err)
		}
	})
}

// The agent was out of reach and knows of no hold: to it the old attempt goes on.
func TestAnAttemptThatIsOverIsNotTakenForTheNextOne(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		r.pass(5 * time.Minute)
		r.wantState(id, core.StateFailedHolding)

		if _, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001"}, "scratch disk"); err != nil {
			t.Fatal(err)
		}

		r.restart()

		for range 2 {
			if o, err := m.beat(core.Storage); err != nil || o.Cmd != core.CmdAbort || len(o.Overrides) != 0 || !o.WriteLeaseUntil.IsZero() {
				t.Errorf("from the old attempt: %+v %v", o, err)
			}
		}

		if _, err := m.send(m.passing(core.Storage)); codeOf(err) != "run/wrong-state" {
			t.Errorf("the result of the old attempt: %v", err)
		}

		run := r.wantState(id, core.State(core.Storage))
		if run.Retrying != core.Storage || !run.Wipe.UsedAt.IsZero() || run.Stages[2].Progress != 0 {
			t.Errorf("retrying %q, override %+v, progress %v", run.Retrying, run.Wipe, run.Stages[2].Progress)
		}

		if o, err := m.beat(""); err != nil || o.Cmd != core.CmdRetryStage || len(o.Overrides) != 1 {
			t.Errorf("once it has ended: %+v %v", o, err)
		}

		if o, err := m.beat(core.Storage); err != nil || o.Cmd != core.CmdContinue || o.WriteLeaseUntil.IsZero() {
			t.Errorf("from the new attempt: %+v %v", o, err)
		}

		if state, err := m.send(m.passing(core.Storage)); err != nil || state != core.StateCompleted {
			t.Errorf("%s %v", state, err)
		}
	})
}

// A machine that boots again has left its old attempt.
func TestAClaimEndsTheAttemptBefore(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		r.pass(5 * time.Minute)

		if _, err := r.RetryStage(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		m.bootID = "boot-2"
		m.boot()

		if o, err := m.beat(core.Storage); err != nil || o.Cmd != core.CmdContinue {
			t.Errorf("%+v %v", o, err)
		}

		if state, err := m.send(m.passing(core.Storage)); err != nil || state != core.StateCompleted {
			t.Errorf("%s %v", state, err)
		}
	})
}

func TestWhatWasFoundBeforeARetryStaysOnRecord(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		m.refuse()

		if _, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001"}, "scratch disk"); err != nil {
			t.Fatal(err)
		}

		if _, err := m.beat(""); err != nil {
			t.Fatal(err)
		}

		m.refuse()

		if _, err := r.RunStageAgain(t.Context(), "ann", id, core.SMART); err != nil {
			t.Fatal(err)
		}

		for _, stage := range []core.StageName{core.SMART, core.Storage} {
			if _, err := m.send(m.passing(stage)); err != nil {
				t.Fatal(err)
			}
		}

		run := r.wantState(id, core.StateCompleted)
		if len(run.Findings) != 1 || run.Findings[0].Code != "run/wipe-overridden" {
			t.Errorf("findings of the run: %+v", run.Findings)
		}

		var words []string

		for _, a := range run.Attempts {
			word := fmt.Sprintf("%s %d %s", a.Stage, a.Attempt, a.Verdict)
			if len(a.Findings) > 0 {
				word += " " + a.Findings[0].Code
			}

			words = append(words, word)
		}

		want := []string{"Storage 1 fail storage/foreign-data", "SMART 1 pass", "Storage 2 fail storage/foreign-data"}
		if !slices.Equal(words, want) {
			t.Errorf("attempts %q, want %q", words, want)
		}

		made := get[report.Report](r, core.TableReport, string(id))
		if !strings.Contains(made.Summary, "run again after a failure: Storage (tried 3 times)") || len(made.Stages[2].Earlier) != 2 {
			t.Errorf("the report says %q, of attempts before %+v", made.Summary, made.Stages[2].Earlier)
		}
	})
}

// However often a stage is tried, the record holds it: the first attempt and the latest.
func TestAttemptsOnRecordAreBounded(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		for range 20 {
			res := m.passing(core.Storage)
			res.Verdict, res.Findings = core.Fail, make([]core.Finding, 10)

			for i := range res.Findings {
				res.Findings[i] = core.Finding{Code: "storage/foreign-data", Severity: core.Warning, Evidence: strings.Repeat("x", 4000)}
			}

			res.Findings[9].Severity = core.Critical

			if state, err := m.send(res); err != nil || state != core.StateFailedHolding {
				t.Fatalf("%s %v", state, err)
			}

			if _, err := r.RetryStage(t.Context(), "ann", id); err != nil {
				t.Fatal(err)
			}

			if _, err := m.beat(""); err != nil {
				t.Fatal(err)
			}
		}

		kept := r.run(id).Attempts
		if len(kept) != 16 || kept[0].Attempt != 1 || kept[1].Attempt != 6 || kept[15].Attempt != 20 {
			t.Fatalf("%d attempts are kept: %+v", len(kept), kept)
		}

		if a := kept[3]; len(a.Findings) != 4 || a.LeftOut != 6 || a.Findings[0].Severity != core.Critical || len(a.Findings[0].Evidence) > 300 {
			t.Errorf("%+v", a)
		}
	})
}

func TestAnOverrideComesWithTheClaimOfAMachineThatWasRestarted(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		m.refuse()

		if _, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001", "SSD0001"}, "scratch disk"); err != nil {
			t.Fatal(err)
		}

		r.restart()

		m.bootID = "boot-2"

		reply := m.boot()
		if want := []string{"override-wipe-probe:HDD0001", "override-wipe-probe:SSD0001"}; !slices.Equal(reply.Overrides, want) {
			t.Errorf("%+v", reply)
		}

		if again := m.boot(); len(again.Overrides) != 0 {
			t.Errorf("the next claim brings %v", again.Overrides)
		}

		armed := 0

		for _, d := range reply.Disks {
			if d.Armed {
				armed++
			}
		}

		if armed != 2 {
			t.Errorf("%d disks armed: %+v", armed, reply.Disks)
		}
	})
}

func TestAnOverrideIsWorthlessAfterAQuarterOfAnHour(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		m.refuse()

		if _, err := r.OverrideWipe(t.Context(), "ann", id, []string{"HDD0001"}, "scratch disk"); err != nil {
			t.Fatal(err)
		}

		r.clock.Advance(15*time.Minute - time.Second)

		if o, err := m.beat(""); err != nil || len(o.Overrides) != 1 {
			t.Errorf("just before: %+v %v", o, err)
		}

		r.clock.Advance(time.Second)

		if o, err := m.beat(""); err != nil || len(o.Overrides) != 0 || o.Cmd != core.CmdRetryStage {
			t.Errorf("then: %+v %v", o, err)
		}
	})
}

func TestOnlyStorageCanBeOverridden(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		_, id := r.held(1)

		if _, err := r.OverrideWipe(t.Context(), "op", id, []string{"HDD0001"}, "scratch disk"); codeOf(err) != "run/nothing-to-override" {
			t.Errorf("%v", err)
		}
	})

	inStorage(t, func(t *testing.T, r *rig, _ *machine, id core.RunID) {
		if _, err := r.OverrideWipe(t.Context(), "op", id, []string{"HDD0001"}, "scratch disk"); codeOf(err) != "run/wrong-state" {
			t.Errorf("while it runs: %v", err)
		}
	})
}

func TestAStageBeforeTheFailedOneIsRunAgainAndTheFailedOneFollows(t *testing.T) {
	inStorage(t, func(t *testing.T, r *rig, m *machine, id core.RunID) {
		m.refuse()

		for _, stage := range []core.StageName{core.Reporting, core.Network, "Dance"} {
			if _, err := r.RunStageAgain(t.Context(), "op", id, stage); codeOf(err) != "run/nothing-to-retry" {
				t.Errorf("%s: %v", stage, err)
			}
		}

		run, err := r.RunStageAgain(t.Context(), "op", id, core.InventoryCheck)
		if err != nil || run.State != core.State(core.InventoryCheck) || run.Retrying != core.InventoryCheck {
			t.Fatalf("%s %v", run.State, err)
		}

		if state, err := m.send(m.passing(core.InventoryCheck)); err != nil || state != core.State(core.Storage) {
			t.Fatalf("%s %v", state, err)
		}

		if state, err := m.send(m.passing(core.Storage)); err != nil || state != core.StateCompleted {
			t.Fatalf("%s %v: %s", state, err, summary(r.run(id).Stages))
		}

		attempts := []int{}
		for _, row := range r.run(id).Stages {
			attempts = append(attempts, row.Attempt)
		}

		if !slices.Equal(attempts, []int{2, 1, 2, 1}) {
			t.Errorf("tries %v", attempts)
		}
	})
}

// What people are told of: each topic once, with a severity and what to do.
func TestEachEndIsAnnounced(t *testing.T) {
	topics := func(r *rig) (found []string) {
		for _, e := range r.events(core.EventNotice) {
			var n core.Notice
			if err := json.Unmarshal(e.Data, &n); err != nil {
				r.t.Fatal(err)
			}

			if n.Topic != "" {
				found = append(found, string(n.Topic)+" "+string(n.Severity))

				if n.Text == "" || n.Next == "" && n.Topic != core.Alarm || n.Code == "" {
					r.t.Errorf("%+v", n)
				}
			}
		}

		return found
	}

	inRig(t, func(t *testing.T, r *rig) {
		m, _ := r.held(1)
		if _, err := m.openHold(1); err != nil {
			t.Fatal(err)
		}

		if got := topics(r); !slices.Equal(got, []string{"StageFailed critical", "HoldingOpened critical"}) {
			t.Errorf("a failed stage: %v", got)
		}
	})

	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.start(1)

		m := r.machine(1)
		m.finish(m.boot().State)

		if got := topics(r); !slices.Equal(got, []string{"RunCompleted info"}) {
			t.Errorf("a good run: %v", got)
		}
	})

	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		if _, err := r.SetSpec(t.Context(), "op", coretest.MAC(1), "memory: {dimms: {count: 3}}"); err != nil {
			t.Fatal(err)
		}

		r.start(1)

		m := r.machine(1)
		m.finish(m.boot().State)

		if got := topics(r); !slices.Equal(got, []string{"SpecMismatch critical"}) {
			t.Errorf("a missing module: %v", got)
		}
	})

	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.start(1)
		r.pass(15 * time.Minute)

		if got := topics(r); !slices.Equal(got, []string{"RunFailed critical"}) {
			t.Errorf("no boot: %v", got)
		}
	})
}
