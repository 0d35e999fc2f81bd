package stage_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
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

// The commands that start and end self-tests, as recordings have them.
const (
	ataShort     = "85062000d40000000100" // LBA low 1
	ataExtended  = "85062000d40000000200"
	ataAbort     = "85062000d40000007f00"
	ataTestLog   = "85090e00000001000700000000002f00" // general purpose log 07h
	nvmeShort    = "14 ffffffff 00000001"
	nvmeExtended = "14 ffffffff 00000002"
	nvmeAbort    = "14 ffffffff 0000000f"
	scsiShort    = "1d20"
	scsiExtended = "1d40"
	scsiAbort    = "1d80"
	scsiSense    = "03000000fc00"
	scsiVPD86    = "12018600fc00"
)

// ear hears which commands pass, and when.
type ear struct {
	mu    sync.Mutex // guards heard
	heard []heard
}

type heard struct {
	disk, command string
	at            time.Time
}

// listen lets an ear hear what a machine's disks are told.
func listen(r *collect.Recording) (probe.Machine, *ear) {
	machine, e := r.Machine(), &ear{}
	machine.Bus = disk.NewRecorder(r.Disks, e)

	return machine, e
}

// Write takes a line of a recording.
func (e *ear) Write(line []byte) (int, error) {
	var x disk.Exchange
	if err := json.Unmarshal(line, &x); err != nil {
		return 0, err
	}

	e.mu.Lock()
	defer e.mu.Unlock()

	e.heard = append(e.heard, heard{x.Disk, x.SCSI + x.NVMe, time.Now()})

	return len(line), nil
}

// of lists when a disk got a command that begins so.
func (e *ear) of(name, prefix string) (times []time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()

	for _, h := range e.heard {
		if h.disk == name && strings.HasPrefix(h.command, prefix) {
			times = append(times, h.at)
		}
	}

	return times
}

// status sets how an ATA self-test stands: result, and tenths left.
func status(result, left byte) edit { return setByte(363, result<<4|left) }

// times sets how long an ATA disk says that its self-tests take.
func minutesOf(short, extended byte, long uint16) edit {
	return func(data []byte) []byte {
		data[372], data[373] = short, extended
		binary.LittleEndian.PutUint16(data[375:], long)

		return data
	}
}

// both applies one edit after another.
func both(edits ...edit) edit {
	return func(data []byte) []byte {
		for _, e := range edits {
			data = e(data)
		}

		return data
	}
}

// repeat is an answer some times over.
func repeat(n int, e edit) []func([]byte) []byte {
	return slices.Repeat([]func([]byte) []byte{e}, n)
}

// nvmeTest is log page 06h: what runs, and the latest entry.
func nvmeTest(running, done, entry byte, lba uint64) edit {
	return func(data []byte) []byte {
		data[0], data[1], data[4] = running, done, entry

		if lba > 0 {
			data[4+2] = 2
			binary.LittleEndian.PutUint64(data[4+16:], lba)
		}

		return data
	}
}

// scsiTest sets the latest entry of log page 10h.
func scsiTest(length, code byte, lba uint64) edit {
	return func(data []byte) []byte {
		data[8] = length<<5 | code
		binary.BigEndian.PutUint64(data[12:], lba)

		return data
	}
}

// TestSelfTestsAreFollowedToTheirEnd replays disks whose self-test runs for minutes and
// hours, is aborted, fails, or never ends.
func TestSelfTestsAreFollowedToTheirEnd(t *testing.T) {
	type answers struct {
		key string
		in  []func([]byte) []byte
	}

	all := func(lists ...[]func([]byte) []byte) []func([]byte) []byte { return slices.Concat(lists...) }
	one := func(e edit) []func([]byte) []byte { return []func([]byte) []byte{e} }

	const longest = 0xff

	for name, c := range map[string]struct {
		machine, disk, length string
		first                 []change
		then                  []answers
		set                   []disk.Exchange
		verdict               core.Verdict
		code, evidence        string
		starts                map[string]int // command → how often
		least, most           time.Duration  // from the first start to the end
	}{
		"ATA, short, for two minutes": {
			machine: sataMachine, disk: "sda", length: "short", verdict: core.Pass, starts: map[string]int{ataShort: 1, ataAbort: 0},
			then:  []answers{{ataAttributes, all(one(status(15, 9)), one(status(15, 7)), repeat(4, status(15, 1)), one(status(0, 0)))}},
			least: 2 * time.Minute, most: 3 * time.Minute,
		},
		"ATA, extended, for hours": {
			machine: sataMachine, disk: "sda", length: "extended", verdict: core.Pass,
			starts: map[string]int{ataExtended: 1, ataShort: 0, ataAbort: 0},
			first:  now(ataAttributes, minutesOf(2, longest, 600)),
			then:   []answers{{ataAttributes, all(repeat(600, status(15, 9)), repeat(599, status(15, 1)), one(status(0, 0)))}},
			least:  9*time.Hour + 50*time.Minute, most: 10*time.Hour + 10*time.Minute,
		},
		"ATA, fails at a block": {
			machine: sataMachine, disk: "sda", length: "extended", verdict: core.Fail, starts: map[string]int{ataExtended: 1},
			code: "smart/self-test-failed", evidence: "status 7, first failing block 4711",
			then: []answers{
				{ataAttributes, all(repeat(3, status(15, 5)), one(status(7, 5)))},
				{ataTests, one(func(data []byte) []byte {
					copy(data[2:], []byte{2, 0x75, 9, 0, 0})
					binary.LittleEndian.PutUint32(data[7:], 4711)
					data[508] = 1

					return data
				})},
			},
		},
		"ATA, fails beyond two TiB": {
			machine: sataMachine, disk: "sda", length: "extended", verdict: core.Fail, starts: map[string]int{ataExtended: 1},
			code: "smart/self-test-failed", evidence: "first failing block 20000000000",
			set:  []disk.Exchange{extLog(t, 0x75, 20_000_000_000)},
			then: []answers{{ataAttributes, all(repeat(3, status(15, 5)), one(status(7, 5)))}},
		},
		"ATA, aborted once": {
			machine: sataMachine, disk: "sda", length: "short", verdict: core.Pass, starts: map[string]int{ataShort: 2},
			then: []answers{{ataAttributes, all(repeat(2, status(15, 8)), one(status(1, 8)), repeat(2, status(15, 5)), one(status(0, 0)))}},
		},
		"ATA, interrupted twice": {
			machine: sataMachine, disk: "sda", length: "short", verdict: core.Error, starts: map[string]int{ataShort: 2},
			code: "smart/self-test-broken", evidence: "aborted twice",
			then: []answers{{ataAttributes, all(repeat(2, status(15, 8)), one(status(2, 8)), repeat(2, status(15, 5)), one(status(1, 5)))}},
		},
		"ATA, without an end": {
			machine: sataMachine, disk: "sda", length: "extended", verdict: core.Error, starts: map[string]int{ataExtended: 1, ataAbort: 1},
			code: "smart/self-test-broken", evidence: "still running after 2h10m0s",
			first: now(ataAttributes, minutesOf(2, 60, 0)), then: []answers{{ataAttributes, one(status(15, 3))}},
			least: 130 * time.Minute, most: 132 * time.Minute,
		},
		"NVMe, extended": {
			machine: nvmeMachine, disk: "nvme0n1", length: "extended", verdict: core.Pass, starts: map[string]int{nvmeExtended: 1, nvmeShort: 0, nvmeAbort: 0},
			first: now(nvmeIdentity, set16(316, 45)),
			then:  []answers{{nvmeTests, all(repeat(40, nvmeTest(2, 20, 0x10, 0)), repeat(40, nvmeTest(2, 80, 0x10, 0)), one(nvmeTest(0, 0, 0x20, 0)))}},
			least: 38 * time.Minute, most: 42 * time.Minute,
		},
		"NVMe, fails at a block": {
			machine: nvmeMachine, disk: "nvme0n1", length: "extended", verdict: core.Fail, starts: map[string]int{nvmeExtended: 1},
			code: "smart/self-test-failed", evidence: "result 7, first failing block 815",
			then: []answers{{nvmeTests, all(repeat(3, nvmeTest(2, 30, 0x10, 0)), one(nvmeTest(0, 0, 0x27, 815)))}},
		},
		"NVMe, aborted by a reset, then whole": {
			machine: nvmeMachine, disk: "nvme0n1", length: "short", verdict: core.Pass, starts: map[string]int{nvmeShort: 2},
			then: []answers{{nvmeTests, all(repeat(2, nvmeTest(1, 30, 0x10, 0)), one(nvmeTest(0, 0, 0x12, 0)), repeat(2, nvmeTest(1, 60, 0x12, 0)), one(nvmeTest(0, 0, 0x10, 0)))}},
		},
		"NVMe, a log that kept nothing of it": {
			machine: nvmeMachine, disk: "nvme0n1", length: "extended", verdict: core.Error, starts: map[string]int{nvmeExtended: 1},
			code: "smart/self-test-broken", evidence: "no result of the extended self-test",
			then: []answers{{nvmeTests, all(repeat(2, nvmeTest(2, 30, 0x10, 0)), one(nvmeTest(0, 0, 0x10, 0)))}},
		},
		"NVMe, a log that has the test of another day": {
			machine: nvmeMachine, disk: "nvme0n1", length: "short", verdict: core.Error, starts: map[string]int{nvmeShort: 1},
			code: "smart/self-test-broken", evidence: "its log of self-tests is what it was before",
			set:  []disk.Exchange{{Disk: "nvme0n1", NVMe: nvmeShort + " 00000000", Idle: true}},
			then: []answers{{nvmeTests, all(repeat(2, setByte(0, 1)), one(setByte(0, 0)))}},
		},
		"ATA, a disk that takes the command and does nothing": {
			machine: sataMachine, disk: "sda", length: "short", verdict: core.Error, starts: map[string]int{ataShort: 1},
			code: "smart/self-test-broken", evidence: "its log of self-tests is what it was before",
			set: []disk.Exchange{{Disk: "sda", SCSI: ataShort + "4f00c200b000", Status: 2, Sense: "7201001d0000000e090c00000000000000004f00c20050", Idle: true}},
		},
		"SCSI, a disk that takes the command and does nothing": {
			machine: sasMachine, disk: "sda", length: "short", verdict: core.Error, starts: map[string]int{scsiShort: 1},
			code: "smart/self-test-broken", evidence: "its log of self-tests is what it was before",
			set: []disk.Exchange{{Disk: "sda", SCSI: scsiShort + "00000000", Idle: true}},
		},
		"NVMe, without an end": {
			machine: nvmeMachine, disk: "nvme0n1", length: "extended", verdict: core.Error, starts: map[string]int{nvmeExtended: 1, nvmeAbort: 1},
			code: "smart/self-test-broken", evidence: "still running after 1h40m0s",
			first: now(nvmeIdentity, set16(316, 45)), then: []answers{{nvmeTests, one(nvmeTest(2, 99, 0x10, 0))}},
			least: 100 * time.Minute, most: 102 * time.Minute,
		},
		"SCSI, extended": {
			machine: sasMachine, disk: "sda", length: "extended", verdict: core.Pass, starts: map[string]int{scsiExtended: 1, scsiShort: 0, scsiAbort: 0},
			set: []disk.Exchange{
				{Disk: "sda", SCSI: scsiVPD86, Length: 64, Data: "0086003c" + "000000000000" + "0078"},
				{Disk: "sda", SCSI: scsiSense, Length: 18, Data: "70000000000000" + "0a00000000" + "0409" + "00" + "804000"},
			},
			then:  []answers{{scsiTests, all(repeat(240, scsiTest(2, 15, ^uint64(0))), one(scsiTest(2, 0, ^uint64(0))))}},
			least: 118 * time.Minute, most: 122 * time.Minute,
		},
		"SCSI, fails at a block": {
			machine: sasMachine, disk: "sda", length: "short", verdict: core.Fail, starts: map[string]int{scsiShort: 1},
			code: "smart/self-test-failed", evidence: "result 7, first failing block 9876543210",
			then: []answers{{scsiTests, all(repeat(3, scsiTest(1, 15, ^uint64(0))), one(scsiTest(1, 7, 9876543210)))}},
		},
		"SCSI, without an end": {
			machine: sasMachine, disk: "sda", length: "short", verdict: core.Error, starts: map[string]int{scsiShort: 1, scsiAbort: 1},
			code: "smart/self-test-broken", evidence: "still running after 14m0s",
			then:  []answers{{scsiTests, one(scsiTest(1, 15, ^uint64(0)))}},
			least: 14 * time.Minute, most: 15 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, c.machine)

			for _, e := range c.set {
				r.Disks.Set(e)
			}

			for _, change := range c.first {
				if err := r.Disks.Edit(c.disk, change.key, change.edit); err != nil {
					t.Fatal(err)
				}
			}

			for _, a := range c.then {
				if err := r.Disks.Later(c.disk, a.key, a.in...); err != nil {
					t.Fatal(err)
				}
			}

			machine, heard := listen(r)

			b := newBench(map[string]string{"SMART.self_test": c.length})

			var end time.Time

			result := run(t, b, func(ctx context.Context, env stage.Env) core.Result {
				defer func() { end = time.Now() }()

				return stage.SMART(machine)(ctx, env)
			})

			step := result.SubSteps[slices.IndexFunc(result.SubSteps, func(s core.SubStep) bool { return s.Name == c.disk })]
			if step.Verdict != c.verdict {
				t.Errorf("verdict %s (%s), want %s: %+v", step.Verdict, step.Summary, c.verdict, result.Findings)
			}

			for _, code := range []string{"smart/self-test-failed", "smart/self-test-broken"} {
				found := slices.DeleteFunc(find(result, code), func(f core.Finding) bool { return f.Part != step.Part })
				if (len(found) == 1) != (code == c.code) || code == c.code && !strings.Contains(found[0].Evidence, c.evidence) {
					t.Errorf("%s: found %+v", code, found)
				}
			}

			var began time.Time

			for _, command := range slices.Sorted(maps.Keys(c.starts)) {
				times := heard.of(c.disk, command)
				if len(times) != c.starts[command] {
					t.Errorf("%d times %s, want %d", len(times), command, c.starts[command])
				}

				if len(times) > 0 && (began.IsZero() || times[0].Before(began)) {
					began = times[0]
				}
			}

			if took := end.Sub(began); c.most > 0 && (took < c.least || took > c.most) {
				t.Errorf("took %s, want %s to %s", took, c.least, c.most)
			}

			if !slices.IsSorted(b.done) || b.done[len(b.done)-1] != 1 {
				t.Errorf("progress goes back, or does not reach its end: %v", b.done)
			}
		})
	}
}

// extLog is general purpose log 07h with one test in it.
func extLog(t *testing.T, code byte, lba uint64) disk.Exchange {
	t.Helper()

	data := make([]byte, 512)
	data[0], data[2] = 1, 1
	data[4], data[5] = 2, code
	copy(data[9:15], binary.LittleEndian.AppendUint64(nil, lba)[:6])

	return disk.Exchange{Disk: "sda", SCSI: ataTestLog, Length: 512, Data: hex.EncodeToString(data)}
}

// TestASelfTestOfSomebodyElseIsEndedFirst: its result would not be ours.
func TestASelfTestOfSomebodyElseIsEndedFirst(t *testing.T) {
	for name, c := range map[string]struct {
		machine, disk, start, abort string
		busy                        disk.Exchange
	}{
		"NVMe": {nvmeMachine, "nvme0n1", nvmeShort, nvmeAbort, disk.Exchange{NVMe: nvmeShort + " 00000000", Status: 0x11d}},
		"SCSI": {sasMachine, "sda", scsiShort, scsiAbort, disk.Exchange{SCSI: scsiShort + "00000000", Status: 2, Sense: "70000200000000" + "0a00000000" + "0409"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, c.machine)
			c.busy.Disk = c.disk
			r.Disks.Set(c.busy, disk.Exchange{}) // it takes the second start

			machine, heard := listen(r)

			result := run(t, newBench(nil), stage.SMART(machine))
			if starts, aborts := heard.of(c.disk, c.start), heard.of(c.disk, c.abort); len(starts) != 2 || len(aborts) != 1 || result.Verdict != core.Pass {
				t.Errorf("%d starts, %d ended, verdict %s: %+v", len(starts), len(aborts), result.Verdict, result.Findings)
			}
		})
	}
}

// TestASelfTestEndsWithTheStage: a disk that goes on testing itself would disturb what
// comes next.
func TestASelfTestEndsWithTheStage(t *testing.T) {
	r := machines.Open(t, sataMachine)
	if err := r.Disks.Later("sda", ataAttributes, status(15, 9)); err != nil {
		t.Fatal(err)
	}

	machine, heard := listen(r)

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()

		result := stage.SMART(machine)(ctx, newBench(map[string]string{"SMART.self_test": "extended"}).Env)
		if result.Verdict != core.Error || len(heard.of("sda", ataAbort)) != 1 || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("verdict %s, ended %d times", result.Verdict, len(heard.of("sda", ataAbort)))
		}
	})
}

// TestDisksAreAskedRarely: every question may disturb a self-test.
func TestDisksAreAskedRarely(t *testing.T) {
	r := machines.Open(t, sataMachine)
	if err := r.Disks.Later("sda", ataAttributes, append(repeat(100, status(15, 5)), status(0, 0))...); err != nil {
		t.Fatal(err)
	}

	machine, heard := listen(r)

	run(t, newBench(map[string]string{"SMART.self_test": "extended"}), stage.SMART(machine))

	asked := heard.of("sda", ataAttributes)
	for i := 4; i < len(asked)-1; i++ { // after the first reading and the first looks
		if gap := asked[i].Sub(asked[i-1]); gap < 30*time.Second {
			t.Errorf("asked %s after the last time", gap)
		}
	}
}

// TestASelfTestGoesOnWhenTheAgentIsRestarted: hours of it would be lost, and a second
// start would end the first.
func TestASelfTestGoesOnWhenTheAgentIsRestarted(t *testing.T) {
	for name, c := range map[string]struct {
		running bool
		length  string
		spoilt  bool
		starts  int
	}{
		"it goes on":                    {true, "extended", false, 1},
		"it was ended by a reset":       {false, "extended", false, 2},
		"the profile now wants another": {true, "short", false, 2},
		"what was kept cannot be read":  {true, "extended", true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, sataMachine)
			if err := r.Disks.Later("sda", ataAttributes, status(15, 9)); err != nil {
				t.Fatal(err)
			}

			machine, heard := listen(r)

			synctest.Test(t, func(t *testing.T) {
				first := newBench(map[string]string{"SMART.self_test": "extended"})

				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()

				stage.SMART(machine)(ctx, first.Env)

				again := machines.Open(t, sataMachine)

				then := []func([]byte) []byte{status(15, 2), status(15, 1), status(0, 0)}
				if !c.running {
					then = []func([]byte) []byte{status(2, 9), status(15, 2), status(0, 0)}
				}

				if err := again.Disks.Later("sda", ataAttributes, then...); err != nil {
					t.Fatal(err)
				}

				machine.Bus = disk.NewRecorder(again.Disks, heard)

				second := newBench(map[string]string{"SMART.self_test": c.length})
				second.Resume = first.state

				if c.spoilt {
					second.Resume = second.Resume[1:]
				}

				result := stage.SMART(machine)(t.Context(), second.Env)
				starts := len(heard.of("sda", ataExtended)) + len(heard.of("sda", ataShort))

				if starts != c.starts || result.Verdict != core.Pass || len(first.state) == 0 {
					t.Errorf("started %d times, want %d; verdict %s: %+v", starts, c.starts, result.Verdict, result.Findings)
				}
			})
		})
	}
}
