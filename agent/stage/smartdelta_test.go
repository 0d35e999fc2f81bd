package stage_test

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/core"
)

// around lets a watch look at stages, one after another, each an hour long.
func around(t *testing.T, w stage.Watch, names ...core.StageName) (seen []stage.Seen) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		for _, name := range names {
			end := w(t.Context(), name, newBench(nil).Env, func(error) {})
			time.Sleep(time.Hour)

			seen = append(seen, end())
		}
	})

	return seen
}

// TestWhatDisksCountMeanwhileIsJudged lets counters grow while disks are put to work.
func TestWhatDisksCountMeanwhileIsJudged(t *testing.T) {
	type step struct {
		key   string
		edits []func([]byte) []byte // of the second reading, the third and so on
	}

	same := func(data []byte) []byte { return data }

	for name, c := range map[string]struct {
		machine, disk string
		then          step
		stages        []core.StageName
		at            int // the stage that tells
		code          string
		severity      core.Severity
		evidence      string
	}{
		"sectors replaced during Burn": {
			sataMachine, "sdc",
			step{ataAttributes, []func([]byte) []byte{attribute(5, 1)}},
			[]core.StageName{core.SMART, core.Burn},
			1,
			"smart/increase", core.Critical, "reallocated_sectors_count went from 0 to 1, from 01:00:00 to 02:00:00 UTC",
		},
		"sectors replaced between SMART and Burn": {
			sataMachine, "sdc",
			step{ataAttributes, []func([]byte) []byte{attribute(197, 1)}},
			[]core.StageName{core.SMART, core.CPUStress, core.Memory, core.Burn},
			3,
			"smart/increase", core.Critical, "pending_sectors_count went from 0 to 1, from 01:00:00 to 04:00:00 UTC",
		},
		"damaged frames during Storage": {
			sataMachine, "sda",
			step{ataPhy, []func([]byte) []byte{phyEvent(0x0b, 3)}},
			[]core.StageName{core.SMART, core.Storage},
			1,
			"smart/increase", core.Critical, "phy_errors_count went from 0 to 3",
		},
		"media errors during Storage, without SMART before": {
			nvmeMachine, "nvme0n1",
			step{nvmeHealth, []func([]byte) []byte{set64(160, 1)}},
			[]core.StageName{core.Storage},
			0,
			"smart/increase", core.Critical, "media_errors_count went from 0 to 1, from 00:00:00 to 01:00:00 UTC",
		},
		"media errors during Burn, after Storage": {
			nvmeMachine, "nvme0n1",
			step{nvmeHealth, []func([]byte) []byte{same, set64(160, 2)}},
			[]core.StageName{core.SMART, core.Storage, core.Burn},
			2,
			"smart/increase", core.Critical, "media_errors_count went from 0 to 2, from 02:00:00 to 03:00:00 UTC",
		},
		"heat during Burn": {
			nvmeMachine, "nvme0n1",
			step{nvmeHealth, []func([]byte) []byte{set32(192, 5)}},
			[]core.StageName{core.SMART, core.Burn},
			1,
			"smart/temperature", core.Warning, "warning_temperature_minutes went from 0 to 5",
		},
		"throttled during Burn": {
			nvmeMachine, "nvme0n1",
			step{nvmeHealth, []func([]byte) []byte{set32(220, 1)}},
			[]core.StageName{core.SMART, core.Burn},
			1,
			"smart/throttled", core.Warning, "heavy_throttles_count",
		},
		"defects during Burn": {
			sasMachine, "sda",
			step{scsiDefects, []func([]byte) []byte{setBig32(4, 8)}},
			[]core.StageName{core.SMART, core.Burn},
			1,
			"smart/increase", core.Critical, "grown_defects_count went from 0 to 1",
		},
		"few timeouts during Burn": {
			sataMachine, "sdc",
			step{ataAttributes, []func([]byte) []byte{attribute(188, 1)}},
			[]core.StageName{core.SMART, core.Burn},
			1,
			"smart/increase", core.Warning, "command_timeouts_count went from 0 to 1",
		},
		"a critical warning that is raised during Burn": {
			nvmeMachine, "nvme0n1",
			step{nvmeHealth, []func([]byte) []byte{setByte(0, 4)}},
			[]core.StageName{core.SMART, core.Burn},
			1,
			"smart/critical-warning", core.Critical, "critical warning 0x04: the medium has become unreliable, since a look at 01:00:00 UTC",
		},
		"nothing": {sataMachine, "sdc", step{ataAttributes, []func([]byte) []byte{same}}, []core.StageName{core.SMART, core.Storage, core.Burn}, 2, "", "", ""},
		"counters of the past": {
			sataMachine, "sdc", step{ataAttributes, nil}, []core.StageName{core.SMART, core.Burn}, 1, "", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, c.machine)

			if c.then.edits == nil {
				if err := r.Disks.Edit(c.disk, c.then.key, attribute(5, 7)); err != nil {
					t.Fatal(err)
				}
			} else if err := r.Disks.Later(c.disk, c.then.key, c.then.edits...); err != nil {
				t.Fatal(err)
			}

			for i, seen := range around(t, stage.DiskCounters(r.Machine(), nil), c.stages...) {
				result := stage.Merge(core.Result{Verdict: core.Pass}, seen)

				if i != c.at || c.code == "" {
					if len(result.Findings) > 0 || result.Verdict != core.Pass {
						t.Errorf("%s: %+v", c.stages[i], result.Findings)
					}

					continue
				}

				if len(result.Findings) != 1 || result.Findings[0].Code != c.code || result.Findings[0].Severity != c.severity ||
					!strings.Contains(result.Findings[0].Evidence, c.evidence) || result.Findings[0].Part.Serial == "" {
					t.Errorf("found %+v", result.Findings)
				}

				if (result.Verdict == core.Fail) != (c.severity == core.Critical) || len(result.SubSteps) != 1 ||
					!strings.Contains(result.SubSteps[0].Summary, "disks compared with") {
					t.Errorf("verdict %s, %+v", result.Verdict, result.SubSteps)
				}
			}
		})
	}
}

// TestADiskThatTellsNoCountersAnyMoreIsNoPass: what the work did to it is not known.
func TestADiskThatTellsNoCountersAnyMoreIsNoPass(t *testing.T) {
	r := machines.Open(t, nvmeMachine)
	machine := r.Machine()
	watch := stage.DiskCounters(machine, nil)

	synctest.Test(t, func(t *testing.T) {
		end := watch(t.Context(), core.Burn, newBench(nil).Env, func(error) {})

		r.Disks.Set(disk.Exchange{Disk: "nvme0n1", NVMe: nvmeHealth + " 00000000", Error: "no such device"})

		result := stage.Merge(core.Result{Verdict: core.Pass}, end())
		if found := find(result, "smart/not-compared"); result.Verdict != core.Error || len(found) != 1 || !strings.Contains(found[0].Evidence, "no such device") {
			t.Errorf("verdict %s, %+v", result.Verdict, result.Findings)
		}

		// When the run has moved on, nobody is told.
		ctx, cancel := context.WithCancelCause(t.Context())
		end = watch(ctx, core.Burn, newBench(nil).Env, func(error) {})

		cancel(errors.New("aborted"))

		if seen := end(); len(seen.Errors)+len(seen.Findings)+len(seen.SubSteps) > 0 {
			t.Errorf("after the end: %+v", seen)
		}
	})
}

// TestCountersOfOneDisk is for stages that put single disks to work.
func TestCountersOfOneDisk(t *testing.T) {
	r := machines.Open(t, sataMachine)
	if err := r.Disks.Later("sdc", ataAttributes, attribute(5, 2)); err != nil {
		t.Fatal(err)
	}

	machine := r.Machine()

	drives, err := machine.Disks()
	if err != nil {
		t.Fatal(err)
	}

	drive := drives[slices.IndexFunc(drives, func(d probe.Drive) bool { return d.Name == "sdc" })]

	before, err := stage.TakeCounters(machine, drive)
	if err != nil {
		t.Fatal(err)
	}

	after, err := stage.TakeCounters(machine, drive)
	if err != nil {
		t.Fatal(err)
	}

	if found := after.Since(before); len(found) != 1 || found[0].Code != "smart/increase" || found[0].Part.Serial != drive.Serial {
		t.Errorf("found %+v", found)
	}

	if found := after.Since(after); len(found) > 0 {
		t.Errorf("nothing grew: %+v", found)
	}

	drive.RAID = true
	if c, err := stage.TakeCounters(machine, drive); err == nil {
		t.Errorf("a RAID volume has %+v", c)
	}
}

// untold gives an attribute a number that nothing is known of.
func untold(id byte) edit {
	return func(data []byte) []byte {
		for at := 2; at+12 <= 362; at += 12 {
			if data[at] == id {
				data[at] = 250
			}
		}

		return data
	}
}

// A counter that a disk told before and does not any more was not compared, unless it was
// busy for once.
func TestACounterThatIsNotToldAnyMore(t *testing.T) {
	same := func(data []byte) []byte { return data }

	for name, c := range map[string]struct {
		then    []func([]byte) []byte // of the second reading and the third
		verdict core.Verdict
		want    string
	}{
		"gone":                {[]func([]byte) []byte{untold(5)}, core.Error, "reallocated_sectors_count could be read"},
		"there again":         {[]func([]byte) []byte{untold(5), same}, core.Pass, ""},
		"one that may shrink": {[]func([]byte) []byte{untold(194)}, core.Pass, ""},
		"never told":          {nil, core.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			open := func() *collect.Recording {
				r := machines.Open(t, sataMachine)

				err := r.Disks.Later("sdc", ataAttributes, c.then...)
				if c.then == nil {
					err = r.Disks.Edit("sdc", ataAttributes, untold(5))
				}

				if err != nil {
					t.Fatal(err)
				}

				return r
			}

			r := smart(t, open(), map[string]string{"SMART.self_test": "none"})
			if found := find(r, "smart/not-compared"); r.Verdict != c.verdict || (len(found) == 1) != (c.want != "") || len(found) == 1 && !strings.Contains(found[0].Evidence, c.want) {
				t.Errorf("in SMART: %s, %+v", r.Verdict, r.Findings)
			}

			seen := around(t, stage.DiskCounters(open().Machine(), nil), core.SMART, core.Burn)

			r = stage.Merge(core.Result{Verdict: core.Pass}, seen[1])
			if found := find(r, "smart/not-compared"); r.Verdict != c.verdict || len(r.Findings) != len(found) || (len(found) == 1) != (c.want != "") ||
				len(found) == 1 && (!strings.Contains(found[0].Evidence, c.want) || found[0].Part.Serial == "") {
				t.Errorf("after Burn: %s, %+v", r.Verdict, r.Findings)
			}
		})
	}
}

// A page of a drive for data centres that is refused once is asked for again; one that stays
// away takes its counters with it.
func TestAPageThatIsRefusedMeanwhile(t *testing.T) {
	page := disk.Exchange{Disk: "nvme0n1", NVMe: nvmeOCP, In: 512, Length: 512, Data: hex.EncodeToString(ocpPage())}
	refused := disk.Exchange{Disk: "nvme0n1", NVMe: nvmeOCP, In: 512, Error: "invalid log page"}

	for name, c := range map[string]struct {
		then    []disk.Exchange
		verdict core.Verdict
		found   int
	}{
		"once":  {[]disk.Exchange{refused, page}, core.Pass, 0},
		"after": {[]disk.Exchange{refused}, core.Error, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, nvmeMachine)
			r.Disks.Set(page, c.then...)

			result := smart(t, r, map[string]string{"SMART.self_test": "none"})
			if found := find(result, "smart/not-compared"); result.Verdict != c.verdict || len(found) != c.found ||
				c.found > 0 && !strings.Contains(found[0].Evidence, "uncorrectable_reads_count, ") {
				t.Errorf("%s %+v", result.Verdict, result.Findings)
			}
		})
	}
}
