//go:build (e2e || bench) && linux

package main

import (
	"fmt"
	"slices"
	"time"

	"vetting/agent/disk"
	"vetting/agent/stage"
)

// theirATA is what smartctl says of a SATA disk.
type theirATA struct {
	Model    string `json:"model_name"`
	Serial   string `json:"serial_number"`
	Firmware string `json:"firmware_version"`
	WWN      struct {
		NAA uint64 `json:"naa"`
		OUI uint64 `json:"oui"`
		ID  uint64 `json:"id"`
	} `json:"wwn"`
	Capacity struct {
		Bytes uint64 `json:"bytes"`
	} `json:"user_capacity"`
	Status struct {
		Passed bool `json:"passed"`
	} `json:"smart_status"`
	Attributes struct {
		Table []struct {
			ID        byte `json:"id"`
			Value     byte `json:"value"`
			Worst     byte `json:"worst"`
			Threshold byte `json:"thresh"`
			Flags     struct {
				Value uint16 `json:"value"`
			} `json:"flags"`
			Raw struct {
				Value uint64 `json:"value"`
			} `json:"raw"`
		} `json:"table"`
	} `json:"ata_smart_attributes"`
	Data struct {
		SelfTest struct {
			Status struct {
				Value byte `json:"value"`
			} `json:"status"`
			Minutes struct {
				Short    int `json:"short"`
				Extended int `json:"extended"`
			} `json:"polling_minutes"`
		} `json:"self_test"`
	} `json:"ata_smart_data"`
	Log struct {
		Standard struct {
			Table []struct {
				Type struct {
					Value byte `json:"value"`
				} `json:"type"`
				Status struct {
					Value byte `json:"value"`
				} `json:"status"`
				Hours uint64 `json:"lifetime_hours"`
			} `json:"table"`
		} `json:"standard"`
	} `json:"ata_smart_self_test_log"`
}

// compareATA tells what smartctl says otherwise of a SATA disk, and how much was compared.
func (g *guest) compareATA(serial string) []string {
	var theirs theirATA

	name := g.drive(serial).Name
	if err := g.askSmartctl(name, &theirs); err != nil {
		return []string{err.Error()}
	}

	dev, err := g.look.Bus.SCSI(name)
	if err != nil {
		return []string{err.Error()}
	}
	defer dev.Close() //nolint:errcheck // opened for reading

	ata := disk.ATAOver(dev)
	id, err1 := disk.ReadIdentify(ata)
	smart, err2 := disk.ReadAttributes(ata)
	healthy, err3 := disk.ReadHealth(ata)
	tests, err4 := disk.ReadATASelfTests(ata)

	var c comparison

	c.same("answers", fmt.Sprint(err1, err2, err3, err4), fmt.Sprint(nil, nil, nil, nil))
	c.same("identity", fmt.Sprint(id.Model, id.Serial, id.Firmware, id.WWN, g.drive(serial).SizeBytes),
		fmt.Sprint(theirs.Model, theirs.Serial, theirs.Firmware, fmt.Sprintf("%x%06x%09x", theirs.WWN.NAA, theirs.WWN.OUI, theirs.WWN.ID), theirs.Capacity.Bytes))
	c.same("health", healthy, theirs.Status.Passed)
	c.same("minutes", fmt.Sprint(smart.ShortMinutes, smart.ExtendedMinutes), fmt.Sprint(theirs.Data.SelfTest.Minutes.Short, theirs.Data.SelfTest.Minutes.Extended))
	c.same("self-test status", smart.TestStatus, theirs.Data.SelfTest.Status.Value)
	c.same("number of attributes", len(smart.Attributes), len(theirs.Attributes.Table))

	for _, a := range theirs.Attributes.Table {
		ours, _ := smart.Attribute(a.ID)
		c.same(fmt.Sprintf("attribute %d", a.ID), fmt.Sprint(ours.Value, ours.Worst, ours.Threshold, ours.Flags, ours.Raw),
			fmt.Sprint(a.Value, a.Worst, a.Threshold, a.Flags.Value, a.Raw.Value))
	}

	log := theirs.Log.Standard.Table
	c.same("self-tests", len(tests), len(log))

	for i := range min(len(tests), len(log)) {
		c.same(fmt.Sprintf("self-test %d", i), fmt.Sprint(tests[i].Code, tests[i].Length == disk.ShortTest, tests[i].Hours),
			fmt.Sprint(log[i].Status.Value>>4, log[i].Type.Value == 1, log[i].Hours))
	}

	return c.words("SATA")
}

// theirNVMe is what smartctl says of an NVMe disk.
type theirNVMe struct {
	Model    string `json:"model_name"`
	Serial   string `json:"serial_number"`
	Firmware string `json:"firmware_version"`
	Space    []struct {
		Size struct {
			Bytes uint64 `json:"bytes"`
		} `json:"size"`
	} `json:"nvme_namespaces"`
	Health struct {
		Warning     byte   `json:"critical_warning"`
		Temperature int    `json:"temperature"`
		Spare       int    `json:"available_spare"`
		Threshold   int    `json:"available_spare_threshold"`
		Used        int    `json:"percentage_used"`
		Read        uint64 `json:"data_units_read"`
		Written     uint64 `json:"data_units_written"`
		Cycles      uint64 `json:"power_cycles"`
		Hours       uint64 `json:"power_on_hours"`
		Unsafe      uint64 `json:"unsafe_shutdowns"`
		Media       uint64 `json:"media_errors"`
		Entries     uint64 `json:"num_err_log_entries"`
		Warm        uint32 `json:"warning_temp_time"`
		Hot         uint32 `json:"critical_comp_time"`
	} `json:"nvme_smart_health_information_log"`
}

// compareNVMe is compareATA for an NVMe disk, which meanwhile nobody reads.
func (g *guest) compareNVMe(serial string) []string {
	var theirs theirNVMe

	drive := g.drive(serial)
	if err := g.askSmartctl(drive.Name, &theirs); err != nil {
		return []string{err.Error()}
	}

	dev, err := g.look.Bus.NVMe(drive.Name)
	if err != nil {
		return []string{err.Error()}
	}
	defer dev.Close() //nolint:errcheck // opened for reading

	id, err1 := disk.ReadNVMeController(dev)
	ours, err2 := disk.ReadNVMeHealth(dev)
	their := &theirs.Health

	var c comparison

	c.same("answers", fmt.Sprint(err1, err2), fmt.Sprint(nil, nil))
	c.same("identity", fmt.Sprint(id.Model, id.Serial, id.Firmware), fmt.Sprint(theirs.Model, theirs.Serial, theirs.Firmware))

	if len(theirs.Space) > 0 {
		c.same("size", drive.SizeBytes, theirs.Space[0].Size.Bytes)
	}

	c.same("health", fmt.Sprint(ours.CriticalWarning, ours.Temperature, ours.Spare, ours.SpareThreshold, ours.Used),
		fmt.Sprint(their.Warning, their.Temperature, their.Spare, their.Threshold, their.Used))
	c.same("units", fmt.Sprint(ours.UnitsRead, ours.UnitsWritten), fmt.Sprint(their.Read, their.Written))
	c.same("life", fmt.Sprint(ours.PowerCycles, ours.Hours, ours.UnsafeShutdowns), fmt.Sprint(their.Cycles, their.Hours, their.Unsafe))
	c.same("errors", fmt.Sprint(ours.MediaErrors, ours.LogEntries, ours.WarningMinutes, ours.CriticalMinutes),
		fmt.Sprint(their.Media, their.Entries, their.Warm, their.Hot))

	return c.words("NVMe")
}

// comparison collects what differs.
type comparison struct {
	compared int
	differs  []string
}

func (c *comparison) same(what string, ours, theirs any) {
	c.compared++

	if ours != theirs {
		c.differs = append(c.differs, fmt.Sprintf("%s: %v, smartctl says %v", what, ours, theirs))
	}
}

func (c *comparison) words(kind string) []string {
	for i := range c.differs {
		c.differs[i] = kind + ": " + c.differs[i]
	}

	return append(c.differs, fmt.Sprintf("%s: %d things compared", kind, c.compared))
}

// race reads each disk by turns with smartctl, and tells the middle of how long it took: of
// ours, of smartctl, and of smartctl that is only started.
func (g *guest) race() error {
	const rounds = 15

	if err := g.plug(soundSATA, nvmeDisk); err != nil {
		return err
	}

	for _, serial := range []string{soundSATA, nvmeDisk} {
		var ours, theirs, started []time.Duration

		drive := g.drive(serial)

		for range rounds {
			begin := time.Now()
			if _, err := stage.TakeCounters(g.look, drive); err != nil {
				return err
			}

			ours = append(ours, time.Since(begin))

			begin = time.Now()
			if err := g.askSmartctl(drive.Name, &struct{}{}); err != nil {
				return err
			}

			theirs = append(theirs, time.Since(begin))

			begin = time.Now()
			if _, err := g.tool(g.ctx, "--version"); err != nil {
				return err
			}

			started = append(started, time.Since(begin))
		}

		var words []string

		for _, list := range [][]time.Duration{ours, theirs, started} {
			slices.Sort(list)
			words = append(words, list[len(list)/2].String())
		}

		g.say(said{Step: drive.Transport, Text: words})
	}

	return nil
}
