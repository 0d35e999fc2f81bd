package sensor

import (
	"errors"
	"io/fs"
	"math"
	"path"
	"strings"

	"vetting/agent/disk"
)

// sas lists the thermometers of SAS disks, of which the kernel makes no chips: those of
// SATA disks have drivetemp's. Whether a disk has one it tells when it is asked. Bridges
// of USB and volumes of RAID controllers are not asked: the former may hang, the latter
// have none.
func (t tree) sas() (sensors []Sensor) {
	for _, dir := range t.glob("sys/block/sd*") {
		target, err := fs.ReadLink(t.root, dir)
		name := path.Base(dir)

		if err != nil || !strings.Contains(target, "/end_device-") || t.text(dir+"/device/vendor") == "ATA" || len(t.glob(dir+"/device/hwmon/hwmon*")) > 0 {
			continue
		}

		sensors = append(sensors, Sensor{
			Key: "disk/" + keyPart(name, "temp1") + "/" + string(Temperature), Name: name + " temp1", Kind: "disk", Quantity: Temperature,
			Max: math.NaN(), Crit: math.NaN(), Socket: -1, bank: keyPart(name), sas: name,
		})
	}

	return sensors
}

// errNoSensor says that a disk has no thermometer, or does not tell of it.
var errNoSensor = errors.New("the disk tells no temperature")

// askSAS reads log page 0Dh of a disk (SPC-5 §7.3.21): its temperature and the one up to
// which it works without end, in °C; NaN: not told.
func askSAS(bus disk.Bus, name string) (celsius, most float64, err error) {
	dev, err := bus.SCSI(name)
	if err != nil {
		return math.NaN(), math.NaN(), err
	}
	defer dev.Close() //nolint:errcheck // nothing was written

	page, err := disk.ReadLog(dev, disk.LogTemperature)
	if errors.Is(err, disk.ErrRefused) {
		return math.NaN(), math.NaN(), errNoSensor
	}

	if err != nil {
		return math.NaN(), math.NaN(), err
	}

	now, told := page.Temperature()
	if !told {
		return math.NaN(), math.NaN(), errNoSensor
	}

	most = math.NaN()
	if reference, told := page.ReferenceTemperature(); told {
		most = sane(float64(reference))
	}

	return float64(now), most, nil
}
