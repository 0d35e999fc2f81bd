package sensor_test

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/sensor"
	"vetting/agent/stage"
	"vetting/core"
)

// SAS disks have no chip among the kernel's sensors: they are asked for log page 0Dh.
// One that does not have the page has no sensor, and one that breaks is not forgotten.
func TestTemperaturesOfSASDisks(t *testing.T) {
	const page = "4d004d00000000100000"

	machine := machines.Open(t, "supermicro-ssg-6029p-e1cr12h-3.4")
	if err := machine.Disks.Edit("sdc", page, func(b []byte) []byte { b[9] = 0xff; return b }); err != nil { // it does not know
		t.Fatal(err)
	}

	machine.Disks.Set(disk.Exchange{Disk: "sdd", SCSI: page, In: 4096, Status: 2, Sense: "7205240000000000"}) // invalid field in CDB
	machine.Disks.Set(disk.Exchange{Disk: "sde", SCSI: page, In: 4096, Status: 2, Sense: "7203110000000000"}) // medium error

	sidecar := sensor.New(sensor.Config{Root: machine.Root, Bus: machine.Disks, Log: slog.New(slog.DiscardHandler)})
	sent := map[string]int{}
	end := sidecar.Watch(t.Context(), core.Burn, stage.Env{Sensor: func(samples ...core.Sample) {
		for _, s := range samples {
			sent[s.Key]++
		}
	}}, func(error) {})

	start := time.Now()
	heard := func() bool { // the answers may be late on a machine with much to do
		values := sidecar.Latest().Values
		_, ignorant := values["disk/sdc-temp1/temperature_celsius"]
		_, refusing := values["disk/sdd-temp1/temperature_celsius"]

		return values["disk/sda-temp1/temperature_celsius"] > 0 && values["disk/sdb-temp1/temperature_celsius"] > 0 && !ignorant && !refusing
	}

	for i := 0; !heard() && time.Since(start) < time.Minute; i++ {
		sidecar.Look(start.Add(time.Duration(i) * time.Microsecond))
	}

	for i := range 100 {
		sidecar.Look(start.Add(time.Minute + time.Duration(i)*time.Second))
	}

	values := sidecar.Latest().Values

	for key, want := range map[string]float64{
		"disk/sda-temp1/temperature_celsius": 34, "disk/sdb-temp1/temperature_celsius": 35, "disk/sde-temp1/temperature_celsius": math.NaN(),
	} {
		if got, there := values[key]; !there || got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s is %v (%t), want %v", key, got, there, want)
		}
	}

	for _, key := range []string{"disk/sdc-temp1/temperature_celsius", "disk/sdd-temp1/temperature_celsius"} {
		if v, there := values[key]; there {
			t.Errorf("%s is %v, and the disk has no sensor", key, v)
		}
	}

	if n := sent["disk/sda-temp1/temperature_celsius"]; n < 2 || n > 6 {
		t.Errorf("%d values of a disk in 100 s, want one each half minute at most", n)
	}

	var told []string

	for _, f := range end().Findings {
		if f.Code == "sensor/no-number" {
			told = append(told, f.Part.Slot)
		}
	}

	if len(told) != 1 || told[0] != "sde temp1" {
		t.Errorf("told of %v, want the disk that has broken", told)
	}
}
