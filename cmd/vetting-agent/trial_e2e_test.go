//go:build e2e && linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vetting/core"
)

// TestDisksOfAVirtualHost puts stages of the product to work on disks with faults, where
// the kernel's side of it counts: one boot for all of them, without an appliance.
// smartctl reads two of the disks as well and must say the same.
func TestDisksOfAVirtualHost(t *testing.T) {
	if os.Getpid() == 1 {
		beGuest(t)

		return
	}

	dir := t.TempDir()
	fault := func(kind, errno string) string {
		return "inject-error.0.event=none,inject-error.0.iotype=" + kind + ",inject-error.0.errno=" + errno + ",inject-error.0.sector=20480"
	}

	const ioError, noData = "5", "61" // the emulator's SCSI disks make MEDIUM ERROR of ENODATA

	devices := slices.Concat(
		node(t, dir, soundSATA, ""), []string{"-device", "ide-hd,bus=ide.0,model=TRIAL DISK,wwn=0x5000c500b0000001,drive=" + soundSATA + ",serial=" + soundSATA},
		node(t, dir, unreadable, fault("read", ioError)), []string{"-device", "ide-hd,bus=ide.1,wwn=0x5000c500b0000002,drive=" + unreadable + ",serial=" + unreadable},
		node(t, dir, unwritable, fault("write", ioError)), []string{"-device", "ide-hd,bus=ide.2,wwn=0x5000c500b0000003,drive=" + unwritable + ",serial=" + unwritable},
		node(t, dir, nvmeDisk, ""), []string{"-device", "nvme,id=nvme,drive=" + nvmeDisk + ",serial=" + nvmeDisk},
		[]string{"-device", "virtio-scsi-pci,id=scsi"},
		node(t, dir, mediumError, fault("read", noData)), []string{"-device", "scsi-hd,bus=scsi.0,wwn=0x5000c500b0000004,drive=" + mediumError + ",serial=" + mediumError},
		[]string{"-object", "throttle-group,id=slow,x-bps-total=2000000"},
		node(t, dir, vanishing, ""), []string{"-blockdev", "driver=throttle,node-name=slow,throttle-group=slow,file=" + vanishing},
		[]string{"-device", "scsi-hd,id=vanishing,bus=scsi.0,wwn=0x5000c500b0000005,drive=slow,serial=" + vanishing},
		node(t, dir, appearing, ""),
		node(t, dir, swappedOne, ""), []string{"-device", "scsi-hd,id=" + swappedOne + ",bus=scsi.0,wwn=0x5000c500b0000006,drive=" + swappedOne + ",serial=" + swappedOne},
		node(t, dir, swappedTwo, ""), []string{"-device", "scsi-hd,id=" + swappedTwo + ",bus=scsi.0,wwn=0x5000c500b0000007,drive=" + swappedTwo + ",serial=" + swappedTwo},
		node(t, dir, "twin", ""), node(t, dir, filling, ""),
	)

	h := bootHost(t, "faults", "TestDisksOfAVirtualHost", dir, devices...)

	h.await("smart")

	for _, words := range h.await("compared").Text {
		if !strings.HasSuffix(words, "things compared") {
			t.Errorf("smartctl says otherwise: %s", words)
		}

		t.Log(words)
	}

	quiet := h.await("quiet")
	found(t, quiet, core.Pass)

	// All that the disks were asked so far, the kernel counts among their errors.
	if len(quiet.Result.Findings) > 0 {
		t.Errorf("sound disks: %+v", quiet.Result.Findings)
	}

	h.await("pull and plug")
	h.tell(unplug("vanishing"), plugIn("appearing", appearing, appearing, 0x5000c500b0000008))

	told := h.await("storage")
	found(t, told, core.Fail,
		finding{"storage/read-error", core.Critical, unreadable}, finding{"storage/write-error", core.Critical, unwritable},
		finding{"storage/read-error", core.Critical, mediumError}, finding{"storage/vanished", core.Critical, vanishing},
		finding{"storage/appeared", core.Warning, appearing},
		finding{"ras/disk-io-errors", core.Warning, unreadable}, finding{"ras/disk-io-errors", core.Warning, unwritable},
		finding{"ras/disk-io-errors", core.Warning, mediumError})

	for _, serial := range []string{soundSATA, nvmeDisk} { // disks of a bus hear when others come and go
		if i := slices.IndexFunc(told.Result.Findings, func(f core.Finding) bool { return f.Part.Serial == serial && f.Severity != core.Info }); i >= 0 {
			t.Errorf("a sound disk: %+v", told.Result.Findings[i])
		}
	}

	h.await("warn")
	h.tell(map[string]any{"execute": "qom-set", "arguments": map[string]any{"path": "/machine/peripheral/nvme", "property": "smart_critical_warning", "value": 4}})
	found(t, h.await("burn"), core.Fail, finding{"smart/critical-warning", core.Critical, nvmeDisk})
	h.await("fill")
	h.tell(plugIn("filling", filling, filling, 0x5000c500b000000a))

	wwns := map[string]uint64{swappedOne: 0x5000c500b0000006, swappedTwo: 0x5000c500b0000007}

	for i := range 2 {
		serial := h.await("swap").Text[0]

		if i == 0 {
			h.tell(unplug(swappedOne), unplug(swappedTwo))
		}

		h.tell(plugIn(serial, serial, serial, wwns[serial]))
	}

	renamed := h.await("renamed")
	found(t, renamed, core.Fail, // others still have their faults
		finding{"storage/read-error", core.Critical, unreadable}, finding{"storage/not-discarded", core.Critical, swappedOne})

	if i := slices.IndexFunc(renamed.Result.SubSteps, func(s core.SubStep) bool { return s.Part.Serial == nvmeDisk }); i < 0 ||
		renamed.Result.SubSteps[i].Verdict != core.Pass || !strings.HasSuffix(renamed.Result.SubSteps[i].Summary, ", erased: Format NVM, user data erase") {
		t.Errorf("the NVMe disk did not erase itself: %+v", renamed.Result.SubSteps)
	}

	h.await("twin")
	h.tell(plugIn("twin", "twin", swappedOne, 0x5000c500b0000009))
	found(t, h.await("twins"), core.Error, finding{"storage/same-serial", core.Critical, swappedOne})
	h.await("end")

	for serial, written := range map[string]bool{
		soundSATA: true, unwritable: true, vanishing: true, swappedOne: true,
		nvmeDisk:   false, // written, and then erased by itself
		unreadable: false, mediumError: false, appearing: false, swappedTwo: false, filling: false, "twin": false,
	} {
		content, err := os.ReadFile(filepath.Join(dir, serial+".img"))
		if err != nil {
			t.Fatal(err)
		}

		if blank := len(bytes.Trim(content, "\x00")) == 0; blank == written {
			t.Errorf("%s: something was written: %v, want %v", serial, !blank, written)
		}
	}
}

// finding is what is to be found, about a disk.
type finding struct {
	code     string
	severity core.Severity
	serial   string
}

// found looks that a stage found what it should.
func found(t *testing.T, told said, verdict core.Verdict, want ...finding) {
	t.Helper()

	for _, f := range told.Result.Findings {
		t.Logf("%s: %s %s %s: %.200s", told.Step, f.Severity, f.Code, f.Part.Serial+" "+f.Part.Slot, f.Evidence)
	}

	if told.Result.Verdict != verdict {
		t.Errorf("%s: verdict %s, want %s", told.Step, told.Result.Verdict, verdict)
	}

	for _, w := range want {
		if !slices.ContainsFunc(told.Result.Findings, func(f core.Finding) bool {
			return f.Code == w.code && f.Severity == w.severity && f.Part.Serial == w.serial
		}) {
			t.Errorf("%s: no %s %s of %s", told.Step, w.severity, w.code, w.serial)
		}
	}
}
