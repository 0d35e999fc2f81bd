package core_test

import (
	"testing"
	"time"

	"vetting/core"
)

// A finding is the same in the next run whatever was measured, and another one about
// another part, rule or stage.
func TestTheMarkOfAFindingIsWhatItIsAbout(t *testing.T) {
	base := core.Finding{
		Code: "threshold/breach", Severity: core.Critical, Title: "sda: 71 °C, limit 60", Stage: core.SMART, Subject: "disk-too-hot disk/sda/temperature_celsius",
		Part: core.Part{Kind: "disk", Slot: "sda", Serial: "S1"}, Evidence: "71", Next: "cool it",
	}

	for name, c := range map[string]struct {
		change func(*core.Finding)
		same   bool
	}{
		"evidence, title and severity": {func(f *core.Finding) { f.Evidence, f.Title, f.Severity, f.Next = "72", "sda: 72 °C", core.Warning, "" }, true},
		"slot of a part with a serial": {func(f *core.Finding) { f.Part.Slot, f.Part.Model = "sdb", "X" }, true},
		"serial":                       {func(f *core.Finding) { f.Part.Serial = "S2" }, false},
		"kind":                         {func(f *core.Finding) { f.Part.Kind = "dimm" }, false},
		"code":                         {func(f *core.Finding) { f.Code = "smart/failing" }, false},
		"stage":                        {func(f *core.Finding) { f.Stage = core.Burn }, false},
		"rule":                         {func(f *core.Finding) { f.Subject = "disk-worn disk/sda/wear_percent" }, false},
		"no serial":                    {func(f *core.Finding) { f.Part.Serial = "" }, false},
		"a serial that reads as slot":  {func(f *core.Finding) { f.Part.Serial, f.Part.Slot = "", "S1" }, false},
		"words that run together":      {func(f *core.Finding) { f.Part.Kind, f.Code = "kdis", "threshold/breac" }, false},
	} {
		f := base
		c.change(&f)

		if same := f.Mark() == base.Mark(); same != c.same {
			t.Errorf("%s: same is %v", name, same)
		}
	}

	if len(base.Mark()) != 12 {
		t.Errorf("the mark is %q", base.Mark())
	}
}

func TestAWaiverCountsFromItsMomentToItsEnd(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	w := core.Waiver{At: at, Until: at.Add(time.Hour)}
	short := w
	short.WithdrawnAt = at.Add(time.Minute)

	for after, want := range map[time.Duration][2]bool{
		-time.Second: {false, false}, 0: {true, true}, time.Minute - 1: {true, true}, time.Minute: {true, false}, time.Hour - 1: {true, false}, time.Hour: {false, false},
	} {
		if got := [2]bool{w.Holds(at.Add(after)), short.Holds(at.Add(after))}; got != want {
			t.Errorf("%s after: whole and withdrawn are %v, want %v", after, got, want)
		}
	}
}

func TestUntilIsATimeADayOrALength(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 30, 0, 0, time.FixedZone("CET", 3600))

	for text, want := range map[string]string{
		"2026-12-31": "2027-01-01T00:00:00Z", "2026-12-31T18:00:00+01:00": "2026-12-31T17:00:00Z", " 30d ": "2026-12-29T11:30:00Z", "12h": "2026-11-29T23:30:00Z",
	} {
		got, err := core.ParseUntil(text, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q is %s %v, want %s", text, got, err, want)
		}
	}

	for _, text := range []string{"", "d", "-1d", "1.5h", "70000d", "30", "31.12.2026", "2026-02-30", "tomorrow"} {
		if got, err := core.ParseUntil(text, now); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func FuzzUntil(f *testing.F) {
	for _, text := range []string{"2026-12-31", "30d", "12h", "2026-12-31T18:00:00Z", "99999d", "9d9d"} {
		f.Add(text)
	}

	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

	f.Fuzz(func(t *testing.T, text string) {
		if at, err := core.ParseUntil(text, now); err == nil && at.Location() != time.UTC {
			t.Errorf("%q is %s", text, at)
		}
	})
}

// What was borne with as a warning is looked at again once it is critical, and a waiver
// of what was critical covers less.
func TestAWaiverCoversNothingGraver(t *testing.T) {
	at := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	f := core.Finding{Stage: core.Storage, Code: "storage/slow-request", Part: core.Part{Kind: "disk", Serial: "S1"}}

	for _, c := range []struct {
		given, now core.Severity
		want       bool
	}{
		{core.Warning, core.Warning, true},
		{core.Warning, core.Critical, false},
		{core.Critical, core.Critical, true},
		{core.Critical, core.Warning, true},
		{core.Critical, core.Info, false},
	} {
		f.Severity = c.now
		w := core.Waiver{Finding: f.Mark(), Severity: c.given, At: at, Until: at.Add(time.Hour)}

		if got := w.Covers(&f, at.Add(time.Minute)); got != c.want {
			t.Errorf("given for %s, found %s: covers %t", c.given, c.now, got)
		}
	}
}
