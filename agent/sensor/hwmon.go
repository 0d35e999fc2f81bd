package sensor

import (
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Find lists the sensors of a machine, in the order of their keys. It asks no device,
// so that it does not hang with one.
func Find(root fs.FS) (sensors []Sensor) { return find(root, nil) }

// find adds the BMC's sensors to them.
func find(root fs.FS, bmc []Sensor) (sensors []Sensor) {
	t := tree{root}

	for _, chip := range t.glob("sys/class/hwmon/hwmon*") {
		sensors = append(sensors, t.chip(chip)...)
	}

	sensors = slices.Concat(sensors, t.zones(sensors), t.sas(), bmc)
	slices.SortFunc(sensors, func(a, b Sensor) int { return strings.Compare(a.Key, b.Key) })

	return distinct(sensors)
}

// distinct gives sensors of one key numbers: some boards have two chips that call
// everything the same.
func distinct(sensors []Sensor) []Sensor {
	count := map[string]int{}

	for i := range sensors {
		key := sensors[i].Key

		count[key]++
		if count[key] > 1 {
			words := strings.Split(key, "/")
			sensors[i].Key = words[0] + "/" + words[1] + "-" + strconv.Itoa(count[key]) + "/" + words[2]
		}
	}

	return sensors
}

// measures says how files of a chip are called and scaled
// (Documentation/hwmon/sysfs-interface.rst).
func measures() []struct {
	prefix   string
	quantity Quantity
	scale    float64
} {
	const milli, micro = 1e-3, 1e-6

	return []struct {
		prefix   string
		quantity Quantity
		scale    float64
	}{{"temp", Temperature, milli}, {"fan", Fan, 1}, {"in", Voltage, milli}, {"curr", Current, milli}, {"power", Power, micro}}
}

// chip lists the sensors of one chip.
func (t tree) chip(dir string) (sensors []Sensor) {
	c := t.place(dir)

	for _, m := range measures() {
		for _, input := range t.glob(dir + "/" + m.prefix + "[0-9]*_input") {
			stem := strings.TrimSuffix(input, "_input")
			label := t.text(stem + "_label")
			kind := c.kindOf(label)
			s := Sensor{
				Quantity: m.quantity, bank: c.part, label: label, file: input, fault: stem + "_fault", scale: m.scale, Kind: kind, Socket: -1,
				Name: strings.TrimSpace(c.name + " " + firstOf(label, path.Base(stem))), Max: math.NaN(), Crit: math.NaN(),
			}

			part := keyPart(c.part, firstOf(label, path.Base(stem)))
			if kind == "cpu" {
				part, s.Socket, s.Core = c.cpuPart(label, path.Base(stem))
			}

			s.Key = keyOf(kind, m.quantity) + "/" + part + "/" + string(m.quantity)
			sensors = append(sensors, s)
		}
	}

	return sensors
}

// keyOf is the first word of the key: the catalogue knows fans and voltages of the
// board only, whoever measures them.
func keyOf(kind string, q Quantity) string {
	if q == Temperature || kind == "cpu" && q == Power || kind == "gpu" {
		return kind
	}

	return "board"
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}

	return ""
}

// place is where a chip sits.
type place struct {
	chip   string // name of its driver
	kind   string // of the part it watches
	part   string // in keys
	name   string // for people
	socket int    // of a CPU
}

func (t tree) place(dir string) place {
	chip, device := t.text(dir+"/name"), t.device(dir)
	p := place{chip: chip, kind: kindOf(chip), name: firstOf(device, chip), socket: -1}
	p.part = keyPart(chip, firstOf(device, path.Base(dir)))

	switch chip {
	case "coretemp": // one device for each package
		if n, err := strconv.Atoi(strings.TrimPrefix(device, "coretemp.")); err == nil {
			p.socket = n
		}
	case "k10temp", "zenpower": // function 3 of device 18h + node
		if m := regexp.MustCompile(`^\w+:\w+:(\w+)\.3$`).FindStringSubmatch(device); m != nil {
			if n, err := strconv.ParseInt(m[1], 16, 8); err == nil && n >= 0x18 {
				p.socket = int(n - 0x18)
			}
		}
	case "nvme":
		p.part, p.name = keyPart(firstOf(device, path.Base(dir))), firstOf(device, chip)
	case "drivetemp":
		if disks := t.glob(dir + "/device/block/*"); len(disks) > 0 {
			p.part, p.name = keyPart(path.Base(disks[0])), path.Base(disks[0])
		}
	}

	return p
}

// kindOf says what part a sensor watches. Ampere's management processor has them
// all on one chip.
func (p place) kindOf(label string) string {
	lower := strings.ToLower(label)

	switch {
	case p.chip != "smpro_hwmon" || strings.Contains(lower, "vrd"):
		return p.kind
	case strings.Contains(lower, "dimm"):
		return "memory"
	case strings.Contains(lower, "soc"):
		return "cpu"
	default:
		return p.kind
	}
}

// kindOf says what part a chip watches, by the name of its driver.
func kindOf(chip string) string {
	kinds := map[string]string{
		"coretemp": "cpu", "k10temp": "cpu", "k8temp": "cpu", "zenpower": "cpu", "fam15h_power": "cpu", "cpu_thermal": "cpu", "soc_thermal": "cpu",
		"jc42": "memory", "spd5118": "memory", "nvme": "disk", "drivetemp": "disk",
		"amdgpu": "gpu", "nouveau": "gpu", "i915": "gpu", "xe": "gpu", "radeon": "gpu",
		"mlx5": "nic", "ixgbe": "nic", "igb": "nic", "bnxt_en": "nic", "i350bb": "nic", "tg3": "nic", "nfp": "nic", "iwlwifi_1": "nic",
	}

	return firstOf(kinds[chip], "board")
}

// cpuPart names a CPU's sensor alike for all makers: package0, package0-core3.
func (p place) cpuPart(label, file string) (part string, socket int, core bool) {
	lower := strings.ToLower(label)
	socket = p.socket

	if n, err := strconv.Atoi(strings.TrimPrefix(lower, "package id ")); err == nil {
		return "package" + strconv.Itoa(n), n, false
	}

	base := p.part
	if socket >= 0 {
		base = "package" + strconv.Itoa(socket)
	}

	switch {
	case lower == "tctl", label == "" && file == "temp1":
		return base, socket, false
	default:
		return keyPart(base, strings.ReplaceAll(firstOf(lower, file), "core ", "core")), socket, strings.HasPrefix(lower, "core ")
	}
}

// zones lists the thermal zones of the firmware that no chip stands for: boards
// without a driver for their sensors have nothing else. A zone that a chip was
// made of says the same twice.
func (t tree) zones(known []Sensor) (sensors []Sensor) {
	for _, dir := range t.glob("sys/class/thermal/thermal_zone*") {
		kind := t.text(dir + "/type")

		covered := slices.ContainsFunc(known, func(s Sensor) bool {
			return strings.HasPrefix(s.Name, kind+" ") || strings.Contains(s.Key, "/"+keyPart(kind)+"-")
		})
		if covered || kind == "" || len(t.glob(dir+"/hwmon*")) > 0 || kind == "x86_pkg_temp" && hasCPU(known) {
			continue
		}

		s := Sensor{
			Name: kind + " zone", Kind: "board", Quantity: Temperature, Max: math.NaN(), Crit: t.tripPoint(dir, "critical"), Socket: -1,
			bank: keyPart("zone", kind), file: dir + "/temp", scale: 1e-3,
		}
		s.Key = "board/" + keyPart("zone", kind) + "/" + string(Temperature)
		sensors = append(sensors, s)
	}

	return sensors
}

func hasCPU(sensors []Sensor) bool {
	return slices.ContainsFunc(sensors, func(s Sensor) bool { return s.Kind == "cpu" && s.Quantity == Temperature })
}

// tripPoint reads the temperature at which the firmware wants something done.
func (t tree) tripPoint(dir, kind string) float64 {
	for _, file := range t.glob(dir + "/trip_point_*_type") {
		if t.text(file) == kind {
			return sane(t.number(strings.TrimSuffix(file, "type")+"temp") * 1e-3)
		}
	}

	return math.NaN()
}
