package ras_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/collect"
	"vetting/agent/machines"
	"vetting/agent/ras"
	"vetting/core"
	"vetting/core/problem"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// server is a machine with one of everything that counts.
func server() fstest.MapFS {
	return fstest.MapFS{
		"sys/devices/system/edac/mc/mc0/ce_noinfo_count":     file("0\n"),
		"sys/devices/system/edac/mc/mc0/ue_noinfo_count":     file("0\n"),
		"sys/devices/system/edac/mc/mc0/dimm0/dimm_label":    file("CPU0_DIMM_A1\n"),
		"sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count": file("0\n"),
		"sys/devices/system/edac/mc/mc0/dimm0/dimm_ue_count": file("0\n"),
		"sys/devices/system/edac/mc/mc0/dimm1/dimm_label":    file("CPU_SrcID#0_MC#0_Chan#1_DIMM#0\n"),
		"sys/devices/system/edac/mc/mc0/dimm1/dimm_ce_count": file("0\n"),
		"sys/devices/system/edac/mc/mc0/dimm1/dimm_ue_count": file("0\n"),
		"sys/devices/system/edac/mc/mc1/ce_count":            file("0\n"),
		"sys/devices/system/edac/mc/mc1/ue_count":            file("0\n"),
		"proc/meminfo":    file("MemTotal:  16777216 kB\nHardwareCorrupted:     0 kB\n"),
		"proc/interrupts": interrupts("0", "0", "0", "0"),
		"sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable":          file("RxErr 0\nBadTLP 0\nTOTAL_ERR_COR 0\n"),
		"sys/bus/pci/devices/0000:01:00.0/aer_dev_nonfatal":             file("Undefined 0\nTOTAL_ERR_NONFATAL 0\n"),
		"sys/bus/pci/devices/0000:01:00.0/aer_dev_fatal":                file("Undefined 0\nTOTAL_ERR_FATAL 0\n"),
		"sys/bus/pci/devices/0000:00:03.0/aer_rootport_total_err_cor":   file("0\n"),
		"sys/bus/pci/devices/0000:00:03.0/aer_rootport_total_err_fatal": file("0\n"),
		"sys/bus/pci/devices/0000:00:03.0/0000:01:00.0/vendor":          file("0x8086\n"),
		"sys/class/sas_phy/phy-0:3/invalid_dword_count":                 file("0\n"),
		"sys/class/sas_phy/phy-0:3/phy_reset_problem_count":             file("0\n"),
		"sys/block/sda/device/ioerr_cnt":                                file("0x0\n"),
		"sys/block/sda/device/model":                                    file("ST4000NM0035\n"),
		"sys/block/sr0/device/ioerr_cnt":                                file("0x0\n"),
		"sys/class/net/eth0/device/vendor":                              file("0x8086\n"),
		"sys/class/net/eth0/carrier_changes":                            file("2\n"),
		"sys/class/net/eth0/statistics/rx_crc_errors":                   file("0\n"),
		"sys/class/net/eth0/statistics/rx_dropped":                      file("0\n"),
		"sys/class/net/lo/statistics/rx_errors":                         file("0\n"),
	}
}

func interrupts(mce, thr, dfr, trm string) *fstest.MapFile {
	return file("            CPU0       CPU1\n   0:         44          0   IO-APIC   2-edge      timer\n TRM:          0          " + trm +
		"   Thermal event interrupts\n THR:          " + thr + "          0   Threshold APIC interrupts\n DFR:          " + dfr +
		"          0   Deferred Error APIC interrupts\n MCE:          0          " + mce + "   Machine check exceptions\n MCP:         11         11   Machine check polls\n ERR:          0\n")
}

func dimms() []core.DIMM {
	return []core.DIMM{
		{Slot: "DIMM_A1", SizeBytes: 16 << 30, PartNumber: "M393", Serial: "A1S"},
		{Slot: "DIMM_A11", SizeBytes: 16 << 30, Serial: "A11S"},
		{Slot: "DIMM_A2"},
	}
}

// look reads a machine whose network driver counts by names of its own.
func look(root fs.FS, driver map[string]uint64) ras.Snapshot {
	m := ras.Machine{Root: root, DIMMs: dimms(), Statistics: func(port string) (map[string]uint64, error) {
		if port != "eth0" {
			return nil, errors.New("no such port")
		}

		return driver, nil
	}}

	return m.Read(time.Unix(1_800_000_000, 0))
}

// Each counter that grows is one reason, of the right gravity, about the right part.
func TestCountersThatGrow(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		driver     map[string]uint64
		stage      core.StageName
		code       string // empty: nothing is told
		fresh      core.Severity
		used       core.Severity
		slot       string
		says       string
	}{
		"a corrected error of a DIMM that the board names": {
			file: "sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count", text: "1\n", code: "ras/memory-corrected",
			fresh: core.Critical, used: core.Warning, slot: "DIMM_A1", says: "from 0 to 1",
		},
		"ten corrected errors": {
			file: "sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count", text: "10\n", code: "ras/memory-corrected",
			fresh: core.Critical, used: core.Critical, slot: "DIMM_A1",
		},
		"a corrected error of a DIMM that nobody names": {
			file: "sys/devices/system/edac/mc/mc0/dimm1/dimm_ce_count", text: "1\n", code: "ras/memory-corrected",
			fresh: core.Critical, used: core.Warning, slot: "CPU_SrcID#0_MC#0_Chan#1_DIMM#0",
		},
		"an error that was not corrected": {
			file: "sys/devices/system/edac/mc/mc0/dimm0/dimm_ue_count", text: "1\n", code: "ras/memory-uncorrected",
			fresh: core.Critical, used: core.Critical, slot: "DIMM_A1",
		},
		"an error of no known DIMM": {
			file: "sys/devices/system/edac/mc/mc0/ue_noinfo_count", text: "1\n", code: "ras/memory-uncorrected",
			fresh: core.Critical, used: core.Critical, slot: "mc0",
		},
		"an old driver's count": {
			file: "sys/devices/system/edac/mc/mc1/ce_count", text: "1\n", code: "ras/memory-corrected",
			fresh: core.Critical, used: core.Warning, slot: "mc1",
		},
		"memory given up": {
			file: "proc/meminfo", text: "HardwareCorrupted:     4 kB\n", code: "ras/memory-poisoned", fresh: core.Critical, used: core.Critical,
		},
		"a machine check":         {file: "proc/interrupts", text: "MCE: 0 1 Machine check exceptions\n", code: "ras/machine-check", fresh: core.Critical, used: core.Critical},
		"errors over a threshold": {file: "proc/interrupts", text: "THR: 1 0 Threshold APIC interrupts\n", code: "ras/threshold-interrupt", fresh: core.Critical, used: core.Warning},
		"a deferred error":        {file: "proc/interrupts", text: "DFR: 1 0 Deferred\n", code: "ras/deferred-error", fresh: core.Critical, used: core.Critical},
		"a heat alarm":            {file: "proc/interrupts", text: "TRM: 1 0 Thermal\n", code: "ras/thermal-interrupt", fresh: core.Warning, used: core.Warning},
		"polls of the banks":      {file: "proc/interrupts", text: "MCP: 900 900 Machine check polls\n"},
		"a corrected error of a link": {
			file: "sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable", text: "RxErr 2\nTOTAL_ERR_COR 2\n", code: "ras/pcie-corrected",
			fresh: core.Warning, used: core.Warning, slot: "0000:01:00.0",
		},
		"a corrected error counted at the root port": {
			file: "sys/bus/pci/devices/0000:00:03.0/aer_rootport_total_err_cor", text: "1\n", code: "ras/pcie-corrected",
			fresh: core.Warning, used: core.Warning, slot: "0000:00:03.0", says: "the other end of the link is 0000:01:00.0",
		},
		"a lost transfer": {
			file: "sys/bus/pci/devices/0000:01:00.0/aer_dev_nonfatal", text: "CmpltTO 1\nTOTAL_ERR_NONFATAL 1\n", code: "ras/pcie-uncorrected",
			fresh: core.Critical, used: core.Critical, slot: "0000:01:00.0",
		},
		"a damaged word of a SAS link": {
			file: "sys/class/sas_phy/phy-0:3/invalid_dword_count", text: "7\n", code: "ras/sas-link", fresh: core.Critical, used: core.Critical, slot: "phy-0:3",
		},
		"a failed command": {
			file: "sys/block/sda/device/ioerr_cnt", text: "0x11\n", code: "ras/disk-io-errors", fresh: core.Warning, used: core.Warning, slot: "sda", says: "to 17",
		},
		"a command that the disk does not know": {
			file: "sys/block/sda/device/ioerr_cnt", text: "0x1\n", stage: core.SMART, code: "ras/disk-io-errors", fresh: core.Info, used: core.Info, slot: "sda",
		},
		"an empty optical drive": {file: "sys/block/sr0/device/ioerr_cnt", text: "0x11\n"},
		"a damaged frame": {
			file: "sys/class/net/eth0/statistics/rx_crc_errors", text: "1\n", code: "ras/nic-errors", fresh: core.Warning, used: core.Warning, slot: "eth0",
		},
		"a damaged frame that the driver alone counts": {
			driver: map[string]uint64{"rx_symbol_error_phy": 0, "port.rx_crc_errors": 3, "rx_dropped": 5, "tx_fec_none": 1}, code: "ras/nic-errors",
			fresh: core.Warning, used: core.Warning, slot: "eth0",
		},
		"a frame there was no room for": {file: "sys/class/net/eth0/statistics/rx_dropped", text: "9\n"},
		"a link that went down": {
			file: "sys/class/net/eth0/carrier_changes", text: "4\n", code: "ras/nic-link-changes", fresh: core.Warning, used: core.Warning, slot: "eth0",
		},
		"a link that went down while the network was tested": {file: "sys/class/net/eth0/carrier_changes", text: "4\n", stage: core.Network, code: "ras/nic-link-changes", fresh: core.Info, used: core.Info, slot: "eth0"},
		"a link that comes up":                               {file: "sys/class/net/eth0/carrier_changes", text: "4\n", stage: core.InventoryCheck},
		"the loopback":                                       {file: "sys/class/net/lo/statistics/rx_errors", text: "4\n"},
		"a driver that came":                                 {file: "sys/devices/system/edac/mc/mc7/ce_count", text: "4\n"},
		"a counter that was reset": {
			file: "sys/class/net/eth0/carrier_changes", text: "0\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := server()
			before := look(root, map[string]uint64{"rx_symbol_error_phy": 0, "port.rx_crc_errors": 0, "rx_dropped": 0, "tx_fec_none": 0})

			if c.file != "" {
				root[c.file] = file(c.text)
			}

			stage := c.stage
			if stage == "" {
				stage = core.Memory
			}

			driver := c.driver
			if driver == nil {
				driver = map[string]uint64{"rx_symbol_error_phy": 0, "port.rx_crc_errors": 0}
			}

			for used, want := range map[bool]core.Severity{false: c.fresh, true: c.used} {
				found := ras.Judge(before, look(root, driver), stage, used)

				if c.code == "" {
					if len(found) > 0 {
						t.Errorf("findings %+v, want none", found)
					}

					continue
				}

				if len(found) != 1 || found[0].Code != c.code || found[0].Severity != want || found[0].Part.Slot != c.slot ||
					!strings.Contains(found[0].Evidence, c.says) {
					t.Fatalf("findings %+v, want %s %s of %s", found, want, c.code, c.slot)
				}

				if _, known := problem.Lookup(found[0].Code); !known {
					t.Errorf("%s is not explained", found[0].Code)
				}
			}
		})
	}
}

// A PCIe link may damage one bit in 10^12: how many errors are too many depends on how
// much could pass over it meanwhile.
func TestErrorsOfALinkAreJudgedByItsRate(t *testing.T) {
	const device = "sys/bus/pci/devices/0000:01:00.0/"

	for name, c := range map[string]struct {
		speed, width string
		errors       string
		over         time.Duration
		want         core.Severity
	}{
		"one in a long time":                        {"2.5 GT/s PCIe", "1", "1", 10 * time.Minute, core.Warning},
		"three where one and a half were allowed":   {"2.5 GT/s PCIe", "1", "3", 10 * time.Minute, core.Critical},
		"the same on a fast link":                   {"32.0 GT/s PCIe", "16", "3", 10 * time.Minute, core.Warning},
		"as many as a fast link may have":           {"32.0 GT/s PCIe", "16", "30", time.Minute, core.Warning},
		"more than it may":                          {"32.0 GT/s PCIe", "16", "31", time.Minute, core.Critical},
		"many in a moment":                          {"2.5 GT/s PCIe", "1", "30", 30 * time.Second, core.Warning},
		"more than ten a minute":                    {"32.0 GT/s PCIe", "16", "51", 5 * time.Minute, core.Critical},
		"ten a minute":                              {"32.0 GT/s PCIe", "16", "50", 5 * time.Minute, core.Warning},
		"a link that does not say how fast it is":   {"Unknown", "63", "49", 5 * time.Minute, core.Warning},
		"more than ten a minute, at a speed unsaid": {"Unknown", "63", "51", 5 * time.Minute, core.Critical},
	} {
		root := server()
		root[device+"current_link_speed"], root[device+"current_link_width"] = file(c.speed), file(c.width)
		before := look(root, nil)
		root[device+"aer_dev_correctable"] = file("RxErr " + c.errors + "\nTOTAL_ERR_COR " + c.errors + "\n")
		after := look(root, nil)
		after.Time = after.Time.Add(c.over)

		if found := ras.Judge(before, after, core.Burn, false); len(found) != 1 || found[0].Severity != c.want || found[0].Code != "ras/pcie-corrected" {
			t.Errorf("%s: %+v, want %s", name, found, c.want)
		}
	}
}

func TestALinkThatChangesItsWidth(t *testing.T) {
	const width = "sys/bus/pci/devices/0000:01:00.0/current_link_width"

	for name, c := range map[string]struct {
		before, after string
		want          string
	}{
		"the same":                  {"8", "8", ""},
		"fewer lanes":               {"8", "4", "critical ras/pcie-link-width"},
		"more lanes":                {"4", "8", "critical ras/pcie-link-width"},
		"a device that came":        {"0", "8", ""},
		"one that does not answer":  {"8", "63", ""},
		"one that is switched off":  {"8", "0", ""},
		"a width that is no number": {"8", "x", ""},
	} {
		root := server()
		root[width] = file(c.before)
		before := look(root, nil)
		root[width] = file(c.after)

		got := ""
		for _, f := range ras.Judge(before, look(root, nil), core.Burn, false) {
			got += string(f.Severity) + " " + f.Code

			if f.Part.Slot != "0000:01:00.0" || !strings.Contains(f.Evidence, c.before+" lanes") {
				t.Errorf("%s: %+v", name, f)
			}
		}

		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestOwnQuestionsAreNoErrors: what the kernel counts of the agent's own commands is told
// of no disk, and hides no error of one.
func TestOwnQuestionsAreNoErrors(t *testing.T) {
	type moment struct {
		failed, own int    // by the kernel; of those, by us
		disk        string // its number
	}

	for name, c := range map[string]struct {
		moments []moment
		says    []string // at each but the first; empty: nothing
	}{
		"our own commands alone":            {[]moment{{7, 3, "9"}, {8, 4, "9"}, {20, 16, "9"}}, []string{"", ""}},
		"an error":                          {[]moment{{7, 3, "9"}, {8, 3, "9"}}, []string{"from 4 to 5 during CPUStress; without 3 that"}},
		"an error between our own commands": {[]moment{{7, 3, "9"}, {12, 7, "9"}}, []string{"from 4 to 5"}},
		"a command that is under way is no error, and was none": {
			[]moment{{7, 3, "9"}, {7, 4, "9"}, {7, 3, "9"}, {8, 4, "9"}}, []string{"", "", ""},
		},
		"an error while a command is under way is told when it is over": {
			[]moment{{7, 3, "9"}, {8, 4, "9"}, {8, 3, "9"}, {8, 3, "9"}}, []string{"", "from 4 to 5", ""},
		},
		"all were ours":                        {[]moment{{0, 0, "9"}, {3, 5, "9"}, {5, 5, "9"}}, []string{"", ""}},
		"another disk under the same name":     {[]moment{{7, 3, "9"}, {4, 0, "10"}, {5, 0, "10"}}, []string{"", "from 4 to 5"}},
		"the kernel does not tell disks apart": {[]moment{{7, 0, ""}, {8, 0, ""}, {2, 0, ""}}, []string{"from 7 to 8", "from 0 to 2"}},
	} {
		root, before := server(), ras.Snapshot{}

		for i, now := range c.moments {
			root["sys/block/sda/device/ioerr_cnt"] = file(fmt.Sprintf("%#x\n", now.failed))
			root["sys/block/sda/diskseq"] = file(now.disk + "\n")

			after := ras.Machine{Root: root, Statistics: func(string) (map[string]uint64, error) { return nil, nil }, OwnCommands: func(disk string) uint64 {
				if disk == "sda" {
					return uint64(now.own)
				}

				return 0
			}}.Read(time.Unix(1_800_000_000, 0)).Steady(before)

			if i > 0 {
				said := ""
				for _, f := range ras.Judge(before, after, core.CPUStress, false) {
					said += string(f.Severity) + " " + f.Code + " " + f.Evidence
				}

				if want := c.says[i-1]; (want == "") != (said == "") || !strings.Contains(said, want) || said != "" && !strings.HasPrefix(said, "warning ras/disk-io-errors ") {
					t.Errorf("%s, %d: said %q, want %q", name, i, said, want)
				}
			}

			before = after
		}
	}
}

func TestAHealthyMachineHasNothingToTell(t *testing.T) {
	root := server()
	if found := ras.Judge(look(root, nil), look(root, nil), core.CPUStress, false); len(found) > 0 {
		t.Errorf("findings %+v", found)
	}

	if s := look(fstest.MapFS{}, nil); len(s.Counters) > 0 {
		t.Errorf("a machine without anything has %+v", s)
	}
}

func FuzzCounters(f *testing.F) {
	f.Add("TOTAL_ERR_COR 0", "MCE: 0 1 x", "HardwareCorrupted: 4 kB", "0x1")
	f.Add("8.0 GT/s PCIe", " TRM: 0 0 Thermal event interrupts", "MemTotal: 1 kB", "CPU_SrcID#0_MC#0_Chan#0_DIMM#0")

	for _, name := range machines.Names(f) {
		r := machines.Open(f, name)
		f.Add("TOTAL_ERR_COR 7", recorded(r, "proc/interrupts"), recorded(r, "proc/meminfo"), "16")
	}

	f.Fuzz(func(t *testing.T, aer, irq, meminfo, count string) {
		root := server()
		before := look(root, nil)

		for name, text := range map[string]string{
			"sys/bus/pci/devices/0000:01:00.0/aer_dev_correctable": aer, "proc/interrupts": irq, "proc/meminfo": meminfo,
			"sys/block/sda/device/ioerr_cnt": count, "sys/devices/system/edac/mc/mc0/dimm0/dimm_label": count,
			"sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count":  aer,
			"sys/bus/pci/devices/0000:01:00.0/current_link_speed": aer, "sys/bus/pci/devices/0000:01:00.0/current_link_width": count,
			"sys/class/net/eth0/carrier_changes": count,
		} {
			root[name] = file(text)
		}

		for _, found := range ras.Judge(before, look(root, nil), core.Memory, false) {
			if found.Code == "" || found.Severity == "" {
				t.Errorf("%+v", found)
			}
		}
	})
}

// recorded is a file of a recorded machine; empty: it has none.
func recorded(r *collect.Recording, name string) string {
	content, err := r.Root.ReadFile(name)
	if err != nil {
		return ""
	}

	return string(content)
}
