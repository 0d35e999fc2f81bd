package psu

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"vetting/agent/ipmi"
)

// leastMains is the lowest voltage that is the input of a power supply, and not of a
// regulator on the board, whose chips have the same labels (-48 V is the lowest feed).
const leastMains = 36

// fromSystem takes in what the kernel drives itself.
func (s *Survey) fromSystem() {
	for _, dir := range s.glob("sys/class/hwmon/hwmon*") {
		switch name := s.text(dir + "/name"); name {
		case "power_meter": // ACPI: of the whole machine
			s.file("psu/acpi-meter/"+string(InputWatts), "whole machine (ACPI)", "", InputWatts, dir+"/power1_average", 1e-6)
		default:
			s.chip(dir, name)
		}
	}

	s.packages()

	for _, dir := range s.glob("sys/class/power_supply/*") {
		if s.text(dir+"/type") != "Mains" {
			continue
		}

		slot := path.Base(dir)
		s.Supplies = append(s.Supplies, Supply{Slot: slot, number: none, ID: ipmi.Identity{
			Manufacturer: s.text(dir + "/manufacturer"), Model: s.text(dir + "/model_name"), Serial: s.text(dir + "/serial_number"),
		}})
		s.Detectors = append(s.Detectors, Detector{Name: slot, Slot: slot, online: dir + "/online"})
	}
}

// packages takes in what the CPUs count of their own energy (RAPL, also AMD's:
// Documentation/power/powercap/powercap.rst): it is all that tells of the load on a machine
// without BMC and meters. Their samples are sent by those who watch over every stage.
func (s *Survey) packages() {
	const micro = 1e-6

	for _, dir := range s.glob("sys/class/powercap/intel-rapl:*") {
		name := s.text(dir + "/name")
		wrap := s.number(dir + "/max_energy_range_uj")

		if strings.HasPrefix(name, "package-") && wrap > 0 {
			s.Channels = append(s.Channels, Channel{
				Name: "CPU " + name, Quantity: PackageWatts, Limits: ipmi.NoLimits(), file: dir + "/energy_uj", scale: micro, wrap: wrap,
			})
		}
	}
}

// Adapter reports whether a slot is the adapter of a portable machine.
func (s *Survey) Adapter(slot string) bool {
	return slices.ContainsFunc(s.Detectors, func(d Detector) bool { return d.Slot == slot && d.online != "" })
}

// chip takes in a supply that the kernel reads over PMBus or USB, by the labels of its
// driver (Documentation/hwmon/pmbus-core.rst, corsair-psu.rst).
func (s *Survey) chip(dir, name string) {
	type measure struct {
		q      Quantity
		prefix string
		scale  float64
	}

	const milli, micro = 1e-3, 1e-6

	labels := map[string]measure{
		"vin": {InputVolts, "in", milli}, "v_in": {InputVolts, "in", milli}, "vout1": {OutputVolts, "in", milli}, "v_out +12v": {OutputVolts, "in", milli},
		"iin": {InputAmperes, "curr", milli}, "iout1": {OutputAmperes, "curr", milli}, "pin": {InputWatts, "power", micro},
		"pout1": {OutputWatts, "power", micro}, "power total": {InputWatts, "power", micro},
	}

	found := map[string]measure{}

	for _, file := range s.glob(dir + "/*_label") {
		if m, known := labels[strings.ToLower(s.text(file))]; known && strings.HasPrefix(path.Base(file), m.prefix) {
			found[strings.TrimSuffix(file, "_label")] = m
		}
	}

	fed := false
	for stem, m := range found {
		fed = fed || m.q == InputVolts && s.number(stem+"_input")*m.scale >= leastMains
	}

	if !fed {
		return
	}

	slot := s.device(dir)
	if slot == "" {
		slot = path.Base(dir)
	}

	slot = name + " " + slot
	s.Supplies = append(s.Supplies, Supply{Slot: slot, number: none, ID: s.chipTells(path.Base(dir), name)})

	for _, label := range s.glob(dir + "/*_label") { // in order
		stem := strings.TrimSuffix(label, "_label")
		if m, ok := found[stem]; ok {
			s.file("psu/"+keyPart(slot)+"/"+string(m.q), slot+" "+s.text(label), slot, m.q, stem+"_input", m.scale)
		}
	}
}

// chipTells reads what a supply says of itself over PMBus (MFR_ID to MFR_SERIAL, PMBus 1.3
// part II §22.2), which the kernel shows in debugfs where the chip has it
// (drivers/hwmon/pmbus/pmbus_core.c, pmbus_init_debugfs).
func (s *Survey) chipTells(hwmon, driver string) ipmi.Identity {
	dir := "sys/kernel/debug/pmbus/" + hwmon

	word := func(file string) string {
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}

			return r
		}, s.text(dir+"/"+file)))
	}

	return ipmi.Identity{
		Manufacturer: other("", word("mfr_id")), Model: other(other("", word("mfr_model")), driver), Version: other("", word("mfr_revision")),
		Serial: other("", word("mfr_serial")),
	}
}

// file adds a channel that is read from a file.
func (s *Survey) file(key, name, slot string, q Quantity, file string, scale float64) {
	c := Channel{Key: key, Name: name, Slot: slot, Quantity: q, Limits: ipmi.NoLimits(), file: file, scale: scale}

	if q.voltage() {
		stem := strings.TrimSuffix(file, "_input")
		c.Limits.LowWarn, c.Limits.HighWarn = s.number(stem+"_min")*scale, s.number(stem+"_max")*scale
		c.Limits.Low, c.Limits.High = s.number(stem+"_lcrit")*scale, s.number(stem+"_crit")*scale
		c.Limits = c.Limits.Sane()
	}

	s.Channels = append(s.Channels, c)
}

func (s *Survey) glob(pattern string) []string {
	names, err := fs.Glob(s.root, pattern)
	if err != nil {
		return nil
	}

	return names
}

func (s *Survey) text(name string) string {
	b, err := fs.ReadFile(s.root, name)
	if err != nil {
		return ""
	}

	const longest = 64

	text := strings.TrimSpace(string(b))

	return text[:min(len(text), longest)]
}

// number reads a file that holds one number; NaN when it does not.
func (s *Survey) number(name string) float64 {
	n, err := strconv.ParseFloat(s.text(name), 64)
	if err != nil || math.IsInf(n, 0) {
		return math.NaN()
	}

	return n
}

// device is the name of what a chip is: "3-0058" on an I2C bus.
func (s *Survey) device(dir string) string {
	to, err := fs.ReadLink(s.root, dir+"/device")
	if err != nil {
		return ""
	}

	return path.Base(to)
}
