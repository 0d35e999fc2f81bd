package engine_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
)

func step(n int, kind string) core.BootStep {
	return core.BootStep{
		Time: coretest.Start(), MAC: coretest.MAC(n), Kind: kind,
		Client: core.BootClient{MAC: coretest.MAC(n), Kind: core.ClientUEFI, Arch: 7, Vendor: "PXEClient:Arch:00007\x00\x1b[31m", UUID: "u"},
	}
}

func TestAStrangerIsRecordedAndAdopted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for range 3 {
			r.Witness(step(9, "discover"))
		}

		synctest.Wait()
		r.pass(time.Second)

		s := get[core.Sighting](r, core.TableSighting, string(coretest.MAC(9)))
		if s.Count != 3 || s.Arch != "uefi-x64" || s.UUID != "u" || strings.ContainsAny(s.Vendor, "\x00\x1b") {
			t.Errorf("sighting %+v", s)
		}

		if n := len(r.events(core.EventBoot)); n != 1 {
			t.Errorf("%d events of a first sighting", n)
		}

		later := step(9, "discover")
		later.Time = later.Time.Add(time.Minute)
		later.Client = core.BootClient{}
		r.Witness(later)
		synctest.Wait()
		r.pass(time.Second)

		s = get[core.Sighting](r, core.TableSighting, string(coretest.MAC(9)))
		if s.Count != 4 || s.Arch != "uefi-x64" || !s.FirstSeen.Equal(coretest.Start()) || !s.LastSeen.Equal(later.Time) {
			t.Errorf("sighting %+v", s)
		}

		r.host(9)

		err := r.ledger.View(t.Context(), func(rd core.Reader) error { return rd.Get(core.TableSighting, string(coretest.MAC(9)), &s) })
		if !errors.Is(err, core.ErrNotFound) {
			t.Errorf("an adopted machine is still a stranger: %v", err)
		}
	})
}

func TestAFloodOfStrangersForgetsTheLongestUnseen(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for n := range 1200 {
			s := step(n, "discover")
			s.Time = s.Time.Add(time.Duration(n) * time.Second)
			r.Witness(s)

			if n%100 == 99 {
				synctest.Wait()
				r.pass(time.Second)
			}
		}

		r.Witness(core.BootStep{MAC: "not a mac", Kind: "discover"})
		synctest.Wait()
		r.pass(time.Second)

		ledger, _ := r.ledger.(*coretest.Ledger)
		all := ledger.Dump(core.TableSighting)

		if len(all) != 512 {
			t.Errorf("%d sightings", len(all))
		}

		if all[string(coretest.MAC(0))] != "" || all[string(coretest.MAC(1199))] == "" {
			t.Error("the wrong ones were forgotten")
		}

		// Also after a restart the bound holds.
		r.restart()

		for n := 2000; n < 2010; n++ {
			r.Witness(step(n, "discover"))
		}

		synctest.Wait()
		r.pass(time.Second)

		if n := len(ledger.Dump(core.TableSighting)); n != 512 {
			t.Errorf("%d sightings after a restart", n)
		}
	})
}

func TestTheBootTraceOfAHostKeepsTheLastSteps(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		for range 10 {
			for range 50 {
				r.Witness(step(1, "discover"))
			}

			synctest.Wait()
			r.pass(time.Second)
		}

		r.Witness(step(1, "script"))
		synctest.Wait()
		r.pass(time.Second)

		trace := get[core.BootTrace](r, core.TableBoot, string(coretest.MAC(1)))
		if len(trace.Steps) != 200 || trace.Steps[199].Kind != "script" {
			t.Errorf("%d steps", len(trace.Steps))
		}

		events := r.events(core.EventBoot)

		var last core.BootTrace
		if err := json.Unmarshal(events[len(events)-1].Data, &last); err != nil || len(last.Steps) != 1 || len(events) != 11 {
			t.Errorf("%d events, the last with %d steps, %v", len(events), len(last.Steps), err)
		}
	})
}

func TestAnAlarmAboutTheNetworkIsANoticeOfNoHost(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.Witness(core.BootStep{Kind: "no-cable", Detail: "not an alarm"})
		r.Witness(core.BootStep{Kind: "rogue", Code: "netboot/rogue-dhcp", Detail: "The DHCP server 10.77.0.9 is at work."})
		synctest.Wait()
		r.pass(time.Second)

		events := r.events(core.EventNotice)
		if len(events) != 1 || events[0].Host != "" {
			t.Fatalf("events %+v", events)
		}

		var n core.Notice
		if err := json.Unmarshal(events[0].Data, &n); err != nil {
			t.Fatal(err)
		}

		if n.Code != "netboot/rogue-dhcp" || n.Severity != core.Critical || n.Topic != core.Alarm || n.Text != "The DHCP server 10.77.0.9 is at work." {
			t.Errorf("notice %+v", n)
		}

		r.pass(time.Second)

		if n := len(r.events(core.EventNotice)); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestAWitnessNeverWaits(t *testing.T) {
	inRig(t, func(_ *testing.T, r *rig) {
		r.stop() // nobody takes anything down any more

		for range 10000 {
			r.Witness(step(1, "discover"))
		}
	})
}

func TestWhatIsLeftIsTakenDownAtTheEnd(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.Witness(step(9, "discover"))
		r.stop()

		if s := get[core.Sighting](r, core.TableSighting, string(coretest.MAC(9))); s.Count != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestHostsThatCannotBeRecorded(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for name, c := range map[string]struct {
			change func(*core.Host)
			code   string
		}{
			"no name":                     {func(h *core.Host) { h.Name = "  " }, "host/invalid"},
			"a name of two lines":         {func(h *core.Host) { h.Name = "a\nb" }, "host/invalid"},
			"a name with an escape":       {func(h *core.Host) { h.Name = "a\x1b[31m" }, "host/invalid"},
			"endless notes":               {func(h *core.Host) { h.Notes = strings.Repeat("x", 9000) }, "host/invalid"},
			"no address":                  {func(h *core.Host) { h.MAC = "" }, "host/bad-mac"},
			"an address in capitals":      {func(h *core.Host) { h.MAC = "52:54:00:AA:BB:CC" }, "host/bad-mac"},
			"an alias that is the host's": {func(h *core.Host) { h.Aliases = []core.MAC{h.MAC} }, "host/invalid"},
			"too many aliases":            {func(h *core.Host) { h.Aliases = make([]core.MAC, 65) }, "host/invalid"},
			"power by IPMI":               {func(h *core.Host) { h.Power.Method = "ipmi" }, "host/power-method"},
			"a spec with a misspelt key":  {func(h *core.Host) { h.SpecYAML = "memroy: {}" }, "spec/invalid"},
			"an endless spec":             {func(h *core.Host) { h.SpecYAML = strings.Repeat("#", 70000) }, "host/invalid"},
		} {
			host := coretest.Host(1)
			c.change(&host)

			if _, err := r.RegisterHost(t.Context(), "op", host); codeOf(err) != c.code || !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}

		r.host(1)

		if _, err := r.RegisterHost(t.Context(), "op", coretest.Host(1)); codeOf(err) != "host/mac-taken" || !errors.Is(err, core.ErrConflict) {
			t.Errorf("twice: %v", err)
		}
	})
}

func TestAnUpdateKeepsWhatIsNotTheOperatorsToChange(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)
		r.machine(1).boot()

		got, err := r.UpdateHost(t.Context(), "op", coretest.MAC(1), func(h *core.Host) {
			*h = core.Host{Name: "new name", Power: core.Power{Method: core.PowerWoL}, MAC: coretest.MAC(3), Quarantine: "x"}
		})
		if err != nil || got.MAC != coretest.MAC(1) || got.CurrentRun != id || !got.Identity.Known() || got.Quarantine != "" || got.Name != "new name" {
			t.Errorf("%+v %v", got, err)
		}

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Name != "new name" {
			t.Errorf("%+v", d)
		}

		if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteHost(t.Context(), "op", coretest.MAC(1)); err != nil {
			t.Fatal(err)
		}

		if d := r.Decide(core.BootClient{MAC: coretest.MAC(1)}); d.Action != core.BootIgnore {
			t.Errorf("a deleted host gets %+v", d)
		}

		if run := r.run(id); run.Verdict != core.Cancelled {
			t.Error("the runs went with the host")
		}
	})
}

func TestEveryActOfAnOperatorIsInTheAuditTrail(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)

		if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
			t.Fatal(err)
		}

		var texts []string

		for _, e := range r.events(core.EventNotice) {
			var n core.Notice
			if err := json.Unmarshal(e.Data, &n); err != nil || n.Who != "op" || n.Code != "operator/action" {
				t.Errorf("notice %+v %v", n, err)
			}

			texts = append(texts, strings.Fields(n.Text)[0])
		}

		if !slices.Equal(texts, []string{"registered", "started", "cancelled"}) {
			t.Errorf("%v", texts)
		}
	})
}

func TestLogsAndFilesAreAnnounced(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id := r.start(1)

		if err := r.Logged(t.Context(), id, 42); err != nil {
			t.Fatal(err)
		}

		if e := r.events(core.EventLog); len(e) != 1 || string(e[0].Data) != `{"last_seq":42}` {
			t.Errorf("%+v", e)
		}

		if err := r.Logged(t.Context(), "none", 1); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the log of no run: %v", err)
		}

		file := core.Artifact{Run: id, Stage: core.SMART, Name: "log.bin", Size: 3, SHA256: "ab"}

		first, err := r.Kept(t.Context(), file)
		if err != nil || first.ID == "" {
			t.Fatal(err)
		}

		if again, err := r.Kept(t.Context(), file); err != nil || again.ID != first.ID {
			t.Errorf("sent again: %+v %v", again, err)
		}

		for i := range 300 {
			file.SHA256 = strings.Repeat("c", i+1)
			if _, err = r.Kept(t.Context(), file); err != nil {
				break
			}
		}

		if codeOf(err) != "run/too-many-files" {
			t.Errorf("endless files: %v", err)
		}
	})
}

// Firmware that boots from a port that nobody has registered is not answered, and by its
// machine's UUID people are told whose it is: once an hour, since a packet may say anything.
func TestAHostThatAsksFromAnotherPortIsToldOf(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.host(2)

		_, err := r.ledger.Update(t.Context(), func(txn core.Txn) error {
			var host core.Host

			err := txn.Get(core.TableHost, string(coretest.MAC(1)), &host)
			host.Identity = coretest.Identity(1)

			return errors.Join(err, txn.Put(core.TableHost, string(host.MAC), host))
		})
		if err != nil {
			t.Fatal(err)
		}

		asks := func(n int, uuid string) {
			s := step(n, "sighting")
			s.Client.UUID, s.Time = uuid, r.clock.Now()
			r.Witness(s)
			synctest.Wait()
			r.pass(time.Second)
		}

		told := func() (texts []string) {
			for _, e := range r.events(core.EventNotice) {
				if strings.Contains(string(e.Data), problem.HostOtherPort) {
					texts = append(texts, string(e.Host)+" "+string(e.Data))
				}
			}

			return texts
		}

		asks(8, coretest.Identity(7).SMBIOSUUID) // of nobody
		asks(8, "")

		if all := told(); len(all) != 0 {
			t.Errorf("of a stranger it is told %q", all)
		}

		asks(9, strings.ToUpper(coretest.Identity(1).SMBIOSUUID))
		asks(9, coretest.Identity(1).SMBIOSUUID)
		asks(10, coretest.Identity(1).SMBIOSUUID)

		if all := told(); len(all) != 1 || !strings.HasPrefix(all[0], string(coretest.MAC(1))+" ") || !strings.Contains(all[0], string(coretest.MAC(9))) {
			t.Errorf("told %q", all)
		}

		r.pass(time.Hour)
		asks(10, coretest.Identity(1).SMBIOSUUID)

		if all := told(); len(all) != 2 || !strings.Contains(all[1], string(coretest.MAC(10))) {
			t.Errorf("an hour later: %q", all)
		}
	})
}
