package spec

import (
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"vetting/core"
)

// MaxPSUs bounds the power supplies that a spec may ask for, as the setting PSU.expect does.
const MaxPSUs = 16

// maxEntries bounds each list of a spec, maxCount a number in it, maxParts the
// parts that a list asks for with its counts, maxWord the bytes of a text,
// maxAny the alternatives of a field, maxProgram the steps of a regular
// expression: comparing must never keep the ledger waiting.
const (
	maxEntries = 256
	maxCount   = 4096
	maxGPUs    = 64
	maxParts   = 256
	maxWord    = 256
	maxAny     = 32
	maxProgram = 1024
)

// Validate refuses a spec that could never be met or means nothing. All faults
// are joined; each is a *core.Problem that starts with the path of the field.
func (s *Spec) Validate() error {
	v := &faults{}

	v.list("disks", len(s.Disks))
	v.list("nics", len(s.NICs))
	v.list("pci", len(s.PCI))
	v.list("memory.dimms.slots", len(s.Memory.DIMMs.Slots))

	if v.err() != nil {
		return v.err()
	}

	v.machine(s)
	v.cpus(&s.CPUs)
	v.memory(&s.Memory)

	disks, nics := 0, 0

	for i := range s.Disks {
		path := fmt.Sprintf("disks[%d]", i)
		disks += v.parts(path, &s.Disks[i].Count)
		v.disk(path, &s.Disks[i])
	}

	for i := range s.NICs {
		path := fmt.Sprintf("nics[%d]", i)
		nics += v.parts(path, &s.NICs[i].Count)
		v.nic(path, &s.NICs[i])
	}

	v.say(s.PSUs.Count < 0 || s.PSUs.Count > MaxPSUs, "psus.count", "it must be between 0 and %d", MaxPSUs)
	v.say(s.GPU.Count < 0 || s.GPU.Count > maxGPUs, "gpu.count", "it must be between 0 and %d", maxGPUs)

	for i := range s.PCI {
		v.pci(fmt.Sprintf("pci[%d]", i), &s.PCI[i])
	}

	v.say(disks > maxParts, "disks", "%d disks are too many, %d at most", disks, maxParts)
	v.say(nics > maxParts, "nics", "%d ports are too many, %d at most", nics, maxParts)

	return v.err()
}

type faults struct{ errs []error }

func (v *faults) err() error { return errors.Join(v.errs...) }

func (v *faults) say(bad bool, path, format string, args ...any) {
	if bad {
		v.errs = append(v.errs, core.NewProblem(core.ErrInvalid, "spec/invalid", path+": "+fmt.Sprintf(format, args...)+"."))
	}
}

func (v *faults) list(path string, n int) {
	v.say(n > maxEntries, path, "%d entries are too many, %d at most", n, maxEntries)
}

// named is a field with the path that faults of it begin with.
type named struct {
	path string
	want *Want
}

// want checks what holds for fields of every kind.
func (v *faults) want(f named) {
	severities := []core.Severity{"", core.Critical, core.Warning, core.Info}

	v.say(!slices.Contains(severities, f.want.Severity), f.path+".severity", "%.40q must be one of critical, warning, info", f.want.Severity)
	v.say(f.want.Severity != "" && !f.want.asked(), f.path, "there is a severity, but nothing to compare; add the key is")
	v.say(len(f.want.Any) > maxAny, f.path, "%d alternatives are too many, %d at most", len(f.want.Any), maxAny)

	for _, text := range f.want.Any {
		v.say(text == "", f.path, "one of the alternatives is empty")
		v.say(len(text) > maxWord, f.path, "a text of %d bytes is too long, %d at most", len(text), maxWord)
	}
}

// texts checks fields that are texts.
func (v *faults) texts(fields ...named) {
	for _, f := range fields {
		v.want(f)

		for _, text := range f.want.Any {
			if _, pattern := expression(text); pattern {
				v.expression(f.path, text)
			}
		}
	}
}

// expression checks a regular expression between slashes.
func (v *faults) expression(path, text string) {
	parsed, err := syntax.Parse(text[1:len(text)-1], syntax.Perl)
	if err != nil {
		v.say(true, path, "%.80q is no regular expression that can be read (%v)", text, err)

		return
	}

	program, err := syntax.Compile(parsed.Simplify())
	v.say(err != nil || len(program.Inst) > maxProgram, path, "the regular expression %.80q is too large", text)
}

// numbers checks fields that are whole numbers up to a limit.
func (v *faults) numbers(limit uint64, fields ...named) {
	for _, f := range fields {
		v.want(f)

		all, err := f.want.spans(readNumber)
		v.say(err != nil, f.path, "%v", err)

		for _, s := range all {
			v.say(s.low > limit || s.high != open && s.high > limit, f.path, "a number above %d", limit)
		}
	}
}

// sizes checks fields that are sizes.
func (v *faults) sizes(fields ...named) {
	for _, f := range fields {
		v.want(f)

		_, err := f.want.spans(readSize)
		v.say(err != nil, f.path, "%v", err)
	}
}

// flags checks fields that are answers.
func (v *faults) flags(fields ...named) {
	for _, f := range fields {
		v.want(f)

		for _, text := range f.want.Any {
			answer := strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
			v.say(!answer || len(f.want.Any) > 1, f.path, "%.40q does not fit: true or false is wanted here", text)
		}
	}
}

// oneOf checks that texts which stand for themselves are words that there are.
func (v *faults) oneOf(f named, allowed ...string) {
	v.texts(f)

	for _, text := range f.want.Any {
		v.say(literal(text) && !slices.Contains(allowed, strings.ToLower(text)), f.path, "%.40q must be one of %s", text, strings.Join(allowed, ", "))
	}
}

func (v *faults) machine(s *Spec) {
	v.texts(
		named{"system.manufacturer", &s.System.Manufacturer}, named{"system.product", &s.System.Product},
		named{"system.serial", &s.System.Serial}, named{"system.uuid", &s.System.UUID}, named{"system.sku", &s.System.SKU},
		named{"board.manufacturer", &s.Board.Manufacturer}, named{"board.product", &s.Board.Product},
		named{"board.serial", &s.Board.Serial},
		named{"chassis.manufacturer", &s.Chassis.Manufacturer}, named{"chassis.product", &s.Chassis.Product},
		named{"chassis.serial", &s.Chassis.Serial},
		named{"bios.vendor", &s.BIOS.Vendor}, named{"bios.version", &s.BIOS.Version},
	)
	v.oneOf(named{"bios.mode", &s.BIOS.Mode}, "bios", "uefi")
	v.flags(named{"bios.secure_boot", &s.BIOS.SecureBoot})
}

func (v *faults) cpus(c *CPUs) {
	v.numbers(maxCount, named{"cpus.count", &c.Count}, named{"cpus.cores", &c.Cores}, named{"cpus.threads", &c.Threads})
	v.texts(named{"cpus.model", &c.Model})

	cores, _ := c.Cores.bounds()
	_, threads := c.Threads.bounds()
	v.say(c.Threads.asked() && c.Cores.asked() && threads < cores, "cpus.threads", "%d threads are fewer than %d cores", threads, cores)
}

func (v *faults) memory(m *Memory) {
	v.sizes(named{"memory.total", &m.Total})
	v.flags(named{"memory.ecc", &m.ECC})
	v.numbers(maxCount, named{"memory.dimms.count", &m.DIMMs.Count})
	v.dimm("memory.dimms.each", &m.DIMMs.Each)
	v.say(m.DIMMs.Each.Empty, "memory.dimms.each.empty", "only a slot can be empty")

	filled := uint64(0)

	for _, name := range slices.Sorted(maps.Keys(m.DIMMs.Slots)) {
		d := m.DIMMs.Slots[name]
		v.dimm("memory.dimms.slots."+name, &d)
		v.say(len(name) > maxWord, "memory.dimms.slots", "a name of %d bytes is too long, %d at most", len(name), maxWord)

		if !d.Empty {
			filled++
		}
	}

	_, high := m.DIMMs.Count.bounds()
	v.say(m.DIMMs.Count.asked() && filled > high, "memory.dimms.count",
		"%d modules are asked for, but %d slots are listed with one", high, filled)
}

func (v *faults) dimm(path string, d *DIMM) {
	v.sizes(named{path + ".size", &d.Size})
	v.texts(named{path + ".type", &d.Type}, named{path + ".manufacturer", &d.Manufacturer},
		named{path + ".part_number", &d.PartNumber}, named{path + ".serial", &d.Serial})
	v.numbers(open-1, named{path + ".speed_mts", &d.SpeedMTs})

	for _, want := range []*Want{&d.Size, &d.Type, &d.Manufacturer, &d.PartNumber, &d.Serial, &d.SpeedMTs} {
		v.say(d.Empty && want.asked(), path, "an empty slot has no other fields")
	}
}

// parts checks the count of an entry of a list, and returns how many parts it
// stands for.
func (v *faults) parts(path string, want *Want) int {
	v.numbers(maxCount, named{path + ".count", want})
	v.say(len(want.Any) > 1, path+".count", "a count is one number or one range")

	low, high := want.bounds()
	if high == open {
		high = low
	}

	return int(min(high, maxCount+1)) //nolint:gosec // little
}

// unique reports whether a field names one part alone, of which there cannot be
// several.
func unique(want, count *Want) bool {
	_, high := count.bounds()

	return high > 1 && len(want.Any) == 1 && literal(want.Any[0])
}

func (v *faults) disk(path string, d *Disk) {
	v.texts(named{path + ".model", &d.Model}, named{path + ".serial", &d.Serial}, named{path + ".wwn", &d.WWN},
		named{path + ".firmware", &d.Firmware})
	v.oneOf(named{path + ".transport", &d.Transport}, "sata", "nvme", "sas", "usb", "virtio")
	v.flags(named{path + ".rotational", &d.Rotational})
	v.sizes(named{path + ".size", &d.Size})
	v.say(unique(&d.Serial, &d.Count) || unique(&d.WWN, &d.Count), path, "%s disks cannot share one serial or WWN", d.Count.say(numberWords))

	all, _ := d.Size.spans(readSize)
	for _, s := range all {
		v.say(s.bare && s.low < 1<<20, path+".size", "%s is smaller than any disk; did you forget the unit", Size(s.low))
	}
}

func (v *faults) nic(path string, n *NIC) {
	v.texts(named{path + ".model", &n.Model}, named{path + ".driver", &n.Driver}, named{path + ".firmware", &n.Firmware},
		named{path + ".mac", &n.MAC})
	v.flags(named{path + ".link", &n.Link})
	v.oneOf(named{path + ".fec", &n.FEC}, "rs", "baser", "llrs", "off")
	v.numbers(open-1, named{path + ".speed_mbps", &n.SpeedMbps})
	v.say(unique(&n.MAC, &n.Count), path, "%s ports cannot share one MAC", n.Count.say(numberWords))

	for _, text := range n.MAC.Any {
		_, err := core.ParseMAC(text)
		v.say(literal(text) && err != nil, path+".mac", "%.40q is not a MAC address; write it like 52:54:00:12:34:56", text)
	}
}

func (v *faults) pci(path string, p *PCI) {
	v.parts(path, &p.Count)
	v.texts(named{path + ".name", &p.Name}, named{path + ".vendor", &p.Vendor}, named{path + ".device", &p.Device},
		named{path + ".class", &p.Class}, named{path + ".address", &p.Address})

	asked := false
	for _, want := range []*Want{&p.Name, &p.Vendor, &p.Device, &p.Class, &p.Address} {
		asked = asked || want.asked()
	}

	v.say(!asked, path, "it must say name, vendor, device, class or address")

	for _, f := range []named{{path + ".vendor", &p.Vendor}, {path + ".device", &p.Device}, {path + ".class", &p.Class}} {
		for _, text := range f.want.Any {
			v.say(literal(text) && strings.Trim(strings.ToLower(text), "0123456789abcdef") != "", f.path, "%.40q must be hexadecimal digits", text)
		}
	}
}
