package gpu

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

const pciDevices = "sys/bus/pci/devices"

// Passive is what the kernel tells of a GPU without anything of its maker's.
type Passive struct {
	Address string
	Driver  string // empty: none
	Answers bool   // false: it reads all ones, or is gone
	Links   []Link // from the GPU up to the CPU
	Unset   []int  // BARs that the firmware gave no room
	Region  uint64 // bytes of the largest BAR: all of the memory where it was made as large (resizable BAR); 0: not told
	VRAM    uint64 // bytes; 0: not told
	Busy    int    // percent, amdgpu; Unknown: not told
	Clock   string // of its cores now, amdgpu: "1502Mhz"; empty: not told

	Uncorrected map[string]int // errors by block (amdgpu): "umc" → 1
	Corrected   map[string]int
	BadPages    int // of its memory, amdgpu; Unknown: not told
}

// Link is one hop between the CPU and a GPU: a link belongs to its lower end.
type Link struct {
	Lower, Upper       string // addresses
	Width, Most, Above int    // lanes now, the most of the lower end, the most of the port above
}

// Narrow reports whether a hop has fewer lanes than both of its ends can do.
func (l *Link) Narrow() bool {
	return l.Width > 0 && l.Most > 0 && l.Above > 0 && l.Width < min(l.Most, l.Above)
}

// ReadPassive reads a GPU's state from sysfs below root.
func ReadPassive(root fs.FS, address string) Passive {
	dir := path.Join(pciDevices, address)
	vendor := text(root, dir+"/vendor")
	p := Passive{
		Address: address, Driver: base(root, dir+"/driver"), Answers: vendor != "" && vendor != "0xffff" && !dead(root, dir), Links: links(root, address),
		BadPages: Unknown, Uncorrected: map[string]int{}, Corrected: map[string]int{},
	}

	p.Unset, p.Region = regions(root, dir)
	p.Busy, p.Clock = busy(text(root, dir+"/gpu_busy_percent")), clock(text(root, dir+"/pp_dpm_sclk"))
	p.VRAM, _ = strconv.ParseUint(text(root, dir+"/mem_info_vram_total"), 10, 64)

	counters, err := fs.Glob(root, dir+"/ras/*_err_count")
	if err != nil {
		return p
	}

	for _, file := range counters {
		block := strings.TrimSuffix(path.Base(file), "_err_count")
		// "ue: 0\nce: 2\n" (Documentation/gpu/amdgpu/ras.rst)
		for line := range strings.Lines(text(root, file)) {
			kind, count, _ := strings.Cut(strings.TrimSpace(line), ":")
			if n := whole(count); n != Unknown {
				switch kind {
				case "ue":
					p.Uncorrected[block] = n
				case "ce":
					p.Corrected[block] = n
				}
			}
		}
	}

	// A page a line: "0x00000001 : 0x00001000 : R" (retired), P (pending), F (it failed).
	if pages, err := fs.ReadFile(root, dir+"/ras/gpu_vram_bad_pages"); err == nil {
		p.BadPages = 0

		for line := range strings.Lines(string(pages[:min(len(pages), MaxOutput)])) {
			if strings.HasPrefix(strings.TrimSpace(line), "0x") {
				p.BadPages++
			}
		}
	}

	return p
}

// busy reads gpu_busy_percent (Documentation/gpu/amdgpu/thermal.rst).
func busy(percent string) int {
	const all = 100

	if n := whole(percent); n <= all {
		return n
	}

	return Unknown
}

// clock is the line of pp_dpm_sclk that is marked as the one that holds: "1: 1502Mhz *".
func clock(levels string) string {
	for line := range strings.Lines(levels) {
		if _, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && strings.HasSuffix(value, "*") {
			return word(strings.TrimSuffix(value, "*"))
		}
	}

	return ""
}

// dead reports whether the function's own registers read all ones: what sysfs has in
// vendor is from when the kernel found it.
func dead(root fs.FS, dir string) bool {
	config, err := fs.ReadFile(root, dir+"/config")

	return err == nil && len(config) >= 4 && config[0] == 0xff && config[1] == 0xff && config[2] == 0xff && config[3] == 0xff
}

// links walks from a GPU to the CPU. A card may have a switch of its own, whose links
// are always good: the slot is further up. In sysfs the link of a port that leads down is
// the one of what is below it, so every second device is a lower end.
func links(root fs.FS, address string) (hops []Link) {
	const most = 16 // buses deep

	target, err := fs.ReadLink(root, path.Join(pciDevices, address))
	if err != nil {
		return nil
	}

	chain := []string{}

	for part := range strings.SplitSeq(target, "/") {
		if strings.Count(part, ":") == 2 && strings.Contains(part, ".") {
			chain = append(chain, part)
		}
	}

	for i := len(chain) - 1; i >= 1 && len(hops) < most; i -= 2 {
		lower, upper := chain[i], chain[i-1]
		hops = append(hops, Link{
			Lower: lower, Upper: upper, Width: lanes(root, lower, "current_link_width"),
			Most: lanes(root, lower, "max_link_width"), Above: lanes(root, upper, "max_link_width"),
		})
	}

	return hops
}

// lanes: 0 and 63 mean that there is no link or that it never trained.
func lanes(root fs.FS, address, file string) int {
	n := whole(text(root, path.Join(pciDevices, address, file)))
	if n <= 0 || n >= 63 {
		return 0
	}

	return n
}

// regions lists the BARs without an address (IORESOURCE_UNSET, include/linux/ioport.h), and
// returns the bytes of the largest memory BAR that has one: a line each in the file resource,
// start, end, flags.
func regions(root fs.FS, dir string) (without []int, largest uint64) {
	const (
		flagUnset = 0x20000000
		memory    = 0x200
		count     = 6
	)

	i := 0

	for line := range strings.Lines(text(root, dir+"/resource")) {
		fields := strings.Fields(line)
		if i++; i > count || len(fields) != 3 {
			continue
		}

		var numbers [3]uint64

		for n, field := range fields {
			value, err := strconv.ParseUint(strings.TrimPrefix(field, "0x"), 16, 64)
			if err != nil {
				value = 0
			}

			numbers[n] = value
		}

		switch start, end, flags := numbers[0], numbers[1], numbers[2]; {
		case flags&memory == 0:
		case flags&flagUnset != 0:
			without = append(without, i-1)
		case end > start:
			largest = max(largest, end-start+1)
		}
	}

	return without, largest
}

func text(root fs.FS, name string) string {
	const most = 64 << 10

	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(b[:min(len(b), most)]))
}

func base(root fs.FS, name string) string {
	target, err := fs.ReadLink(root, name)
	if err != nil {
		return ""
	}

	return path.Base(target)
}
